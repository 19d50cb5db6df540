//! The client against registries that mean no good: each gets one clear answer, and nothing without a bound.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use registry::{Credentials, Failure, Patience, Registries, Registry};
use resource::{Digest, Platform, Reference};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Answer, Image, Request, Server};

fn digest_of(bytes: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    Digest::of_sha256(digest.as_ref().try_into().unwrap())
}

fn image() -> Image {
    Image::of(&[b"layer".to_vec()], &Platform::host().architecture)
}

/// What is said of an image that a server answers like this for.
async fn said(server: &Server) -> Failure {
    let registry = Registry::new(Registries::default(), Credentials::default());
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    *registry.find(&reference, None).await.unwrap_err().source
}

/// An answer that does not end.
fn endless(status: u16) -> Answer {
    Answer { status, body: vec![b' '; 1 << 16], endless: true, ..Answer::default() }
}

#[tokio::test]
async fn what_has_no_end_is_not_read_to_it() {
    let server = Server::start(|_| endless(200));
    assert!(matches!(said(&server).await, Failure::TooBig { what: "manifest", .. }));
    let server = Server::start(|_| endless(404));
    assert!(matches!(said(&server).await, Failure::NotFound { denied: false, .. }));
    // In front of the true answer: a redirect and a challenge.
    let server = Server::start(|_| endless(307).header("Location", "/v2/app/manifests/latest"));
    assert!(matches!(said(&server).await, Failure::Protocol { .. }));
    let server = Server::start(|_| endless(401).header("WWW-Authenticate", "Basic realm=x"));
    assert!(matches!(said(&server).await, Failure::Unauthorised { given: false, .. }));
}

#[tokio::test]
async fn a_token_service_that_gives_none_is_named() {
    for (answer, told) in [
        (Answer::ok("<html>log in</html>"), "a web page came instead of its token"),
        (Answer::ok("log in"), "gives no token"),
        (Answer::ok(r#"{"token": ""}"#), "gives no token"),
        (endless(200), "has more than"),
        (Answer::ok(r#"{"token": "two\nlines"}"#), "is no header"),
    ] {
        let service = Server::start(move |_| answer.clone());
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", service.address);
        let server = Server::start(move |_| Answer::status(401).header("WWW-Authenticate", &*realm));
        let failure = said(&server).await.to_string();
        assert!(failure.contains(told), "{failure}");
    }
    let server =
        Server::start(|_| Answer::status(401).header("WWW-Authenticate", "Bearer realm=\"file:///etc\""));
    assert!(matches!(said(&server).await, Failure::Protocol { .. }));
}

#[tokio::test]
async fn a_web_page_is_no_manifest() {
    let server = Server::start(|_| Answer::ok("<!DOCTYPE html><title>Sign in</title>"));
    let failure = said(&server).await.to_string();
    assert!(failure.contains("a web page came"), "{failure}");
}

#[tokio::test]
async fn names_in_manifests_lead_nowhere() {
    for digest in ["sha256:../../../../etc/passwd", "sha256:", "../x", "sha512:00"] {
        let (image, digest) = (image(), digest.to_owned());
        let named = image.manifest.replace(image.blobs.keys().next().unwrap(), &digest);
        let server = Server::start(move |_| Answer::ok(named.as_str()));
        assert!(matches!(said(&server).await, Failure::NotAnImage(_)));
        let asked = server.asked("/");
        assert!(asked.iter().all(|request| request.path == "/v2/app/manifests/latest"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_says_and_not_for_ever() {
    let (image, count) = (image(), AtomicUsize::new(0));
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::status(429).header("Retry-After", "0"),
        _ => image.answer(request),
    });
    let registry = Registry::new(Registries::default(), Credentials::default());
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    registry.find(&reference, None).await.unwrap();

    let server = Server::start(|_| Answer::status(429).header("Retry-After", "0"));
    assert!(matches!(said(&server).await, Failure::RateLimited { after: Some(0) }));
    assert_eq!(server.asked("/v2/app").len(), 3);
    let server = Server::start(|_| Answer::status(429).header("Retry-After", "3600"));
    let failure = said(&server).await.to_string();
    assert!(failure.contains("3600 seconds"), "{failure}");
    assert_eq!(server.asked("/v2/app").len(), 1);
}

#[tokio::test]
async fn an_upload_goes_to_no_other_host_and_follows_no_redirect() {
    let registry = Registry::new(Registries::default(), Credentials::default());
    for (answer, told) in [
        (Answer::status(202).header("Location", "http://127.0.0.2:1/upload"), "another host"),
        (Answer::status(202), "does not say where"),
        (Answer::status(307).header("Location", "/elsewhere"), "redirects what it is sent"),
    ] {
        let server = Server::start(move |_| answer.clone());
        let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
        let target = registry.target(&reference).unwrap();
        let failure = registry.begin_upload(&target, None).await.unwrap_err().source.to_string();
        assert!(failure.contains(told), "{failure}");
    }
    let mut registries = Registries::default();
    registries
        .add(Path::new("registries.conf"), "[[registry]]\nlocation = 'a.test'\nblocked = true\n")
        .unwrap();
    let registry = Registry::new(registries, Credentials::default());
    let error = registry.target(&Reference::parse("a.test/app").unwrap()).unwrap_err();
    assert!(matches!(*error.source, Failure::Blocked));
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let drip = Some(Duration::from_millis(20));
    let patience =
        |least| Patience { idle: Duration::from_millis(500), whole: Duration::from_millis(500), least };
    let registry = || Registry::new(Registries::default(), Credentials::default()).waiting(patience(1 << 20));
    // What has to come whole has a time to come in.
    let server = Server::start(move |_| Answer { drip, ..Answer::ok(vec![b' '; 4000]) });
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    let error = registry().find(&reference, None).await.unwrap_err();
    assert!(
        matches!(&*error.source, Failure::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error:?}"
    );
    assert_eq!(server.asked("/v2/app").len(), 1, "and is not asked for again and again");
    let slow = std::error::Error::source(&*error.source).unwrap().to_string();
    assert_eq!(slow, "its answer was not whole after 0.5 seconds");
    // It could be reached.
    assert_eq!(error.source.to_string(), format!("the connection to {} is no good", server.address));

    // What may take long has to come at some rate.
    let image = Image::of(&[vec![7; 4000]], &Platform::host().architecture);
    let server = Server::start(move |request: &Request| {
        let answer = image.answer(request);
        let is_layer = answer.body.first() == Some(&7);
        Answer { drip: drip.filter(|_| is_layer), ..answer }
    });
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    let honest = Registry::new(Registries::default(), Credentials::default());
    let found = honest.find(&reference, None).await.unwrap();
    let hasty = registry();
    let mut blob = hasty.blob(&found.place, &found.layers[0], 0).await.unwrap();
    let cut = loop {
        match blob.chunk().await {
            Ok(piece) => assert!(piece.is_some(), "the whole layer was waited for"),
            Err(cut) => break cut,
        }
    };
    assert_eq!(cut.kind(), std::io::ErrorKind::TimedOut);
    assert!(cut.to_string().contains("bytes came in"), "{cut}");
}
