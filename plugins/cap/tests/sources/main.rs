//! Folders, feeds and posts through the driver itself, with real files and a real HTTP server on this machine.

mod bench;
mod feeds;
mod folders;
mod posts;
