//! The rule that says which plugin API versions fit together.

use semver::{Version, VersionReq};

/// Whether a driver that needs `api` can run on a server that offers `offered`: the same major, and at least that minor.
///
/// # Errors
/// They do not fit, or `api` is no version; the text completes `<id> <version> …` of an error message.
pub fn fits(api: &str, offered: &Version) -> Result<(), Misfit> {
    let requirement = VersionReq::parse(&format!("^{api}")).map_err(|_| Misfit::Unreadable { api: api.to_owned() })?;
    if requirement.matches(offered) {
        return Ok(());
    }
    let major = api.split('.').next().and_then(|digits| digits.parse::<u64>().ok()).unwrap_or_default();
    if major == offered.major {
        Err(Misfit::NeedsNewer { needs: api.to_owned(), has: format!("{}.{}", offered.major, offered.minor) })
    } else {
        Err(Misfit::OtherMajor { made_for: major, loads: offered.major })
    }
}

/// Why a driver does not fit a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The server is older than the driver needs.
    #[error("needs plugin API {needs}, this server has {has}; update the server or take an older driver")]
    NeedsNewer {
        /// What the manifest says.
        needs: String,
        /// What the server offers.
        has: String,
    },
    /// Another generation of the interface.
    #[error("made for API {made_for}, this server loads {loads}")]
    OtherMajor {
        /// The manifest's major.
        made_for: u64,
        /// The server's.
        loads: u64,
    },
    /// The manifest's `api` is not a version.
    #[error("plugin API \"{api}\" in the manifest is not a version such as 1.0")]
    Unreadable {
        /// What stands there.
        api: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(api: &str, offered: Version) -> String {
        fits(api, &offered).map_or_else(|misfit| misfit.to_string(), |()| "fits".to_owned())
    }

    #[test]
    fn an_older_driver_runs_on_a_newer_server() {
        assert_eq!(said("1.0", Version::new(1, 4, 0)), "fits");
        assert_eq!(said("1.4", Version::new(1, 4, 0)), "fits");
        assert_eq!(said("1", Version::new(1, 4, 0)), "fits");
    }

    #[test]
    fn a_newer_driver_is_told_what_is_missing() {
        assert_eq!(
            said("1.6", Version::new(1, 4, 0)),
            "needs plugin API 1.6, this server has 1.4; update the server or take an older driver"
        );
    }

    #[test]
    fn another_major_never_fits() {
        assert_eq!(said("2.0", Version::new(1, 4, 0)), "made for API 2, this server loads 1");
        assert_eq!(said("1.0", Version::new(2, 0, 0)), "made for API 1, this server loads 2");
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(
            said("soon", Version::new(1, 0, 0)),
            "plugin API \"soon\" in the manifest is not a version such as 1.0"
        );
        assert_eq!(said("", Version::new(1, 0, 0)), "plugin API \"\" in the manifest is not a version such as 1.0");
    }

    #[test]
    fn the_crate_and_the_api_have_the_same_version() {
        assert_eq!(crate::manifest::API.to_string(), env!("CARGO_PKG_VERSION"));
    }
}
