//! What the site has decided about who owns, from the configuration to the core.

use onealert_core::{config::Config, event::Policy};

/// The setting: a server that came back owns nothing until an operator lets it return.
pub const MANUAL_RETURN: &str = "manual_return";

/// The policy that the configuration holds. What is not set, or is no answer, is off.
pub fn of(config: &Config) -> Policy {
    let is_on = |name| config.settings.get(name).and_then(|setting| setting.value.as_bool()).unwrap_or(false);
    Policy { manual_return: is_on(MANUAL_RETURN) }
}
