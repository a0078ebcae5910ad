//! The life of messages at a trigger, told as stories with a clock of our own.

mod chains;
mod choice;
mod story;
mod times;
