//! What was asked for on the command line.

use std::{fs, path::PathBuf};

/// What can be asked for.
pub const USAGE: &str = "\
cargo demo [-- OPTIONS]

  --once       end by itself; exit status 0 only if everything happened
  --cap WHAT   take the alerts of a file, of every file in a folder, or at an http(s) address, in place of our own warning:
               CAP 1.0 to 1.2, Atom, RSS, GeoJSON of the National Weather Service, EDXL-DE. Alerts that are over are shown
               as such, and then a copy is taken in which every time is moved forward to this moment (not where a feed only
               links to its alerts)
  --tests      also act on alerts that are tests, exercises or restricted
  --help       this text";

/// Where the first section's alerts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A warning of our own.
    Sample,
    /// Files, one after the other.
    Files(Vec<PathBuf>),
    /// A feed or an alert that the driver fetches.
    Address(String),
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// End by itself.
    pub once: bool,
    /// Only say what there is.
    pub help: bool,
    /// Act on tests too.
    pub tests: bool,
    /// Where the alerts come from.
    pub source: Source,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { once: false, help: false, tests: false, source: Source::Sample };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--once" => options.once = true,
                "--tests" => options.tests = true,
                "--help" | "-h" => options.help = true,
                "--cap" => {
                    let what = arguments.next().ok_or("--cap needs a file, a folder or an address")?;
                    options.source = source(&what)?;
                }
                other => return Err(format!("{other:?} is not understood")),
            }
        }
        Ok(options)
    }
}

fn source(what: &str) -> Result<Source, String> {
    if what.starts_with("http://") || what.starts_with("https://") {
        return Ok(Source::Address(what.to_owned()));
    }
    let bad = |error: std::io::Error| format!("{what}: {error}");
    // Cargo starts programs of other packages in the folder that it was called in, so relative paths mean what they say.
    let path = fs::canonicalize(what).map_err(bad)?;
    if !path.is_dir() {
        return Ok(Source::Files(vec![path]));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).map_err(bad)? {
        let path = entry.map_err(bad)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("{what}: no file is in this folder")) } else { Ok(Source::Files(files)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(|it| (*it).to_owned()))
    }

    #[test]
    fn a_slip_of_the_pen_is_refused_with_the_word_in_question() {
        assert_eq!(parse(&["--one"]).expect_err("no such option"), "\"--one\" is not understood");
        assert_eq!(parse(&["--cap"]).expect_err("nothing follows"), "--cap needs a file, a folder or an address");
        let missing = parse(&["--cap", "no/such/file"]).expect_err("it is not there");
        assert!(missing.starts_with("no/such/file: "), "{missing}");
    }

    #[test]
    fn a_file_a_folder_and_an_address_are_told_apart() {
        let manifest = env!("CARGO_MANIFEST_DIR");
        let files = |what: &str| match parse(&["--cap", what]).expect("understood").source {
            Source::Files(files) => files.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(files(&format!("{manifest}/Cargo.toml")), 1);
        assert!(files(&format!("{manifest}/src")) >= 5);
        let feed = parse(&["--once", "--cap", "https://example.org/feed"]).expect("understood");
        assert_eq!(feed.source, Source::Address("https://example.org/feed".to_owned()));
        assert!(feed.once && !feed.tests);
    }
}
