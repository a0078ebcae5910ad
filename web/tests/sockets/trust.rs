//! Trust in driver files on the pages: a file is pinned only after a question, a key is trusted and forgotten.

use crate::{support::Server, world::World};

#[tokio::test]
async fn a_file_is_pinned_after_a_question_and_a_key_is_trusted_and_forgotten() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let sha256 = "ab".repeat(32);
    server.get("/drivers").cookie(&cookie).send().await.is(200).shows("Signature missing").shows("Pin this file");
    let asked = server.post(&cookie, "/drivers/trust/pin", &[("sha256", &sha256)]).await.is(200);
    asked.shows("Pin libbell.so?").shows(&sha256).shows("its code runs on every server then");
    server.get("/drivers").cookie(&cookie).send().await.shows("Pin this file");
    server.post(&cookie, "/drivers/trust/pin", &[("sha256", &sha256), ("confirm", "yes")]).await.is(303);
    server.get("/drivers").cookie(&cookie).send().await.is(200).hides("Pin this file").shows("com.bell 1.0.0");

    server
        .post(&cookie, "/drivers/trust/unpin", &[("sha256", &sha256)])
        .await
        .is(200)
        .shows("Take the pin of com.bell");
    server.post(&cookie, "/drivers/trust/unpin", &[("sha256", &sha256), ("confirm", "yes")]).await.is(303);
    server.get("/drivers").cookie(&cookie).send().await.is(200).hides("com.bell 1.0.0 back");

    let key = [("/name", "Bell Works"), ("/key", &"A".repeat(56)), ("/prefixes", "com.bell.*, com.ring")];
    server.post(&cookie, "/drivers/trust/key", &key).await.is(303);
    let page = server.get("/drivers").cookie(&cookie).send().await.is(200);
    page.shows("Bell Works").shows("com.bell.*, com.ring").shows("00000000000000AA");
    let forget = [("key", "00000000000000AA"), ("confirm", "yes")];
    let asked = server.post(&cookie, "/drivers/trust/forget", &forget[..1]).await.is(200);
    asked.shows("Trust the key of Bell Works no longer?");
    server.post(&cookie, "/drivers/trust/forget", &forget).await.is(303);
    server.get("/drivers").cookie(&cookie).send().await.is(200).hides("Bell Works");
    let wrong = server.post(&cookie, "/drivers/trust/key", &[("/name", "Ring & Co"), ("/key", "x")]).await.is(422);
    wrong.shows("Ring &#38; Co").shows("is not right");
}
