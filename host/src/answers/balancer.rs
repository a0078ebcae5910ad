//! What a load balancer is told (redundancy sheet, section 9). From memory, without waiting for anything.

use std::{sync::atomic::Ordering, time::Duration};

use onealert_core::{config::Role, life::Life, members, replicate::Enrolment};
use onealert_web::needs::BalancerStatus;

use crate::hub::Hub;

/// A loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(2);

/// The answer at this moment.
pub(super) fn answer(hub: &Hub) -> BalancerStatus {
    let config = hub.config();
    let duty = *hub.standing.borrow();
    judge(&Facts {
        role: hub.place().role,
        stuck: hub.way.last_turn() > STUCK,
        stores: !hub.store_refuses.load(Ordering::Relaxed),
        gone: match config.servers.get(&hub.server) {
            Some(row) => row.deprovisioned,
            // A server that has just joined has no copy yet, and one that was restored is in no configuration.
            None => !config.servers.is_empty() && hub.place().life == Life::Active,
        },
        licensed: match members::enrolment(&config, hub.server, hub.licence_limit()) {
            Enrolment::OverLicence { .. } => hub.place().role == Role::Primary,
            _ => true,
        },
        life: hub.place().life,
        draining: duty.draining,
        ready: hub.is_ready() && !config.servers.is_empty(),
        held: duty.held,
        owner: duty.owner,
    })
}

/// All that the answer depends on.
#[derive(Debug, Clone)]
struct Facts {
    role: Role,
    /// The loop does not turn.
    stuck: bool,
    /// The disk takes what is accepted.
    stores: bool,
    /// Deprovisioned, or not known to its own configuration.
    gone: bool,
    /// Within the licensed number of secondaries.
    licensed: bool,
    life: Life,
    draining: bool,
    /// Everything listens and was read.
    ready: bool,
    /// It came back a moment ago.
    held: bool,
    /// It would send what comes in by the group DEFAULT.
    owner: bool,
}

/// 503: do not come here, it is broken. 404: do not come here, it is meant so. 200: come.
fn judge(facts: &Facts) -> BalancerStatus {
    let (status, word) = match facts {
        Facts { stuck: true, .. } => (503, "Not Working: the core is stuck"),
        Facts { gone: true, .. } | Facts { life: Life::Inert, .. } => (503, "Deprovisioned"),
        Facts { licensed: false, .. } | Facts { life: Life::Unlicensed, .. } => (503, "Not Licensed"),
        Facts { stores: false, .. } => (503, "Not Working: the disk takes nothing"),
        Facts { draining: true, .. } => (404, "Draining"),
        Facts { ready: false, .. } | Facts { life: Life::Opening, .. } => (404, "Starting"),
        Facts { life: Life::Fenced { .. }, .. } => (404, "Fenced"),
        Facts { life: Life::SetBack, .. } => (404, "Set Back"),
        Facts { life: Life::Restored, .. } => (404, "Restored, Not Promoted"),
        Facts { held: true, .. } => (404, "Holding"),
        Facts { owner: true, .. } => (200, "Active"),
        Facts { owner: false, .. } => (200, "Standby"),
    };
    let role = match facts.role {
        Role::Primary => "Primary",
        Role::Secondary => "Secondary",
    };
    BalancerStatus { status, line: format!("{role} {word}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onealert_core::ids::EpochId;

    fn well(role: Role) -> Facts {
        Facts {
            role,
            stuck: false,
            stores: true,
            gone: false,
            licensed: true,
            life: Life::Active,
            draining: false,
            ready: true,
            held: false,
            owner: false,
        }
    }

    fn said(facts: Facts) -> (u16, String) {
        let status = judge(&facts);
        (status.status, status.line.into_owned())
    }

    #[test]
    fn every_row_of_the_table() {
        let (primary, secondary) = (|| well(Role::Primary), || well(Role::Secondary));
        let fenced = Life::Fenced { by: EpochId(9) };
        for (facts, status, line) in [
            (Facts { owner: true, ..primary() }, 200, "Primary Active"),
            (primary(), 200, "Primary Standby"),
            (secondary(), 200, "Secondary Standby"),
            (Facts { owner: true, ..secondary() }, 200, "Secondary Active"),
            (Facts { draining: true, owner: true, ..primary() }, 404, "Primary Draining"),
            (Facts { ready: false, ..secondary() }, 404, "Secondary Starting"),
            (Facts { life: Life::Opening, ..primary() }, 404, "Primary Starting"),
            (Facts { held: true, ..secondary() }, 404, "Secondary Holding"),
            (Facts { life: Life::Restored, ..secondary() }, 404, "Secondary Restored, Not Promoted"),
            (Facts { life: fenced, owner: true, ..primary() }, 404, "Primary Fenced"),
            (Facts { life: Life::SetBack, owner: true, ..primary() }, 404, "Primary Set Back"),
            (Facts { gone: true, ..secondary() }, 503, "Secondary Deprovisioned"),
            (Facts { life: Life::Inert, ..secondary() }, 503, "Secondary Deprovisioned"),
            (Facts { licensed: false, ..secondary() }, 503, "Secondary Not Licensed"),
            (Facts { stuck: true, owner: true, ..primary() }, 503, "Primary Not Working: the core is stuck"),
            (Facts { stores: false, ..primary() }, 503, "Primary Not Working: the disk takes nothing"),
        ] {
            assert_eq!(said(facts.clone()), (status, line.to_owned()), "{facts:?}");
        }
    }

    #[test]
    fn what_is_broken_is_said_before_what_is_meant() {
        let stuck = Facts { stuck: true, draining: true, held: true, ready: false, ..well(Role::Primary) };
        assert_eq!(said(stuck).0, 503, "a draining server that hangs is not drained");
        assert_eq!(said(Facts { gone: true, draining: true, ..well(Role::Secondary) }).0, 503);
        assert_eq!(said(Facts { draining: true, held: true, ..well(Role::Secondary) }).1, "Secondary Draining");
    }
}
