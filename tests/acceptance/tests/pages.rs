//! Pages of a real server in a real browser, the way that an administrator goes: `tests/browser/site`.

use conformance::signer::Signer;
use harness::{Fleet, FleetOptions, PASSWORD, browser, library};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_pins_a_driver_on_the_page_and_sees_a_changed_file_refused() {
    let fleet = Fleet::start(FleetOptions { servers: 1, drivers: Vec::new(), ..FleetOptions::patient() }).await;
    let (folder, driver) = (fleet.drivers().display().to_string(), library("plugin-skeleton").display().to_string());
    let (site, key) = (fleet.servers[0].base(), Signer::new(0x3F2A).public());
    let environment = [
        ("ONEALERT_SITE", site.as_str()),
        ("ONEALERT_FOLDER", folder.as_str()),
        ("ONEALERT_DRIVER", driver.as_str()),
        ("ONEALERT_PASSWORD", PASSWORD),
        ("ONEALERT_KEY", key.as_str()),
    ];
    let tests = || browser::run(&["site/drivers.js"], &environment);
    tokio::task::block_in_place(tests);
}
