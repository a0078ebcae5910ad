//! `onealert-installer check` against real servers: whom it asks, whom it believes, and what a script gets.

use serde_json::json;

use crate::site::{BUILT, DRIVER, Site, run};

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_versions_roles_positions_and_drivers_as_text_and_as_json() {
    let site = Site::start().await;
    let check = site.check(&["--json", "--wait", "60"]);
    assert_eq!(check.status, 0, "{}", check.text);
    let servers = check.json["servers"].as_array().expect("servers");
    let roles: Vec<_> = servers.iter().map(|server| server["role"].clone()).collect();
    assert_eq!(roles, ["primary", "secondary"]);
    for server in servers {
        assert_eq!(server["product"], BUILT);
        assert_eq!((&server["lag"], &server["position"]), (&json!(0), &servers[0]["position"]));
        let driver = &server["drivers"][DRIVER];
        assert_eq!(driver["sha256"].as_str().map(str::len), Some(64), "{driver}");
    }
    let text = site.check(&["--wait", "60"]).text;
    for line in ["pa-1 (primary) at https://", "pa-2 (secondary)", "in step with the primary", "all servers match"] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_believes_the_site_only_and_finds_the_others_by_itself() {
    let mut site = Site::start().await;
    // One address is enough; without --all the rest is at least named.
    let alone = site.installer(&["check", "--json", "--wait", "60"], &[0]);
    assert_eq!((alone.status, &alone.json["unasked"][0]["name"]), (0, &json!("pa-2")), "{}", alone.text);
    let all = site.installer(&["check", "--json", "--all", "--wait", "60"], &[0]);
    assert_eq!((all.status, all.json["servers"].as_array().map(Vec::len)), (0, Some(2)), "{}", all.text);
    // The site's certificate from a data folder does as well as the fingerprint.
    let address = [format!("{}:8443", site.fleet.servers[0].address)];
    let ca = site.fleet.folder().join("pa-2/data/identity/site-ca.pem").display().to_string();
    assert_eq!(run(&["check"], &address, &["--ca", &ca], harness::PASSWORD).status, 0);

    let stranger = run(&["check"], &address, &["--fingerprint", &"ab".repeat(32)], harness::PASSWORD);
    assert_eq!(stranger.status, 2);
    assert!(stranger.text.contains("belongs to another site"), "{}", stranger.text);
    let wrong = run(&["check"], &address, &["--ca", &ca], "guessed");
    assert_eq!(wrong.status, 2);
    assert!(wrong.text.contains("the login admin was refused"), "{}", wrong.text);
    for arguments in [&["check", "--nonsense"][..], &["check"]] {
        assert_eq!(run(arguments, &address, &[], harness::PASSWORD).status, 3, "whom to trust is part of the line");
    }

    site.fleet.servers[1].kill();
    let silent = site.check(&["--json"]);
    assert_eq!((silent.status, &silent.json["verdict"]), (2, &json!("not_asked")), "{}", silent.text);
    assert!(silent.json["servers"][1]["error"].to_string().contains("refused"), "{}", silent.text);
}
