//! The client against a registry in a thread: who it says it is and to whom, what it believes, and what
//! it says when it does not get what it wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use registry::{Credentials, Failure, Found, Registries, Registry, RegistryError, Remedy};
use resource::{Digest, Platform, Reference};
use std::path::Path;
use support::{Answer, Image, Request, Server};

fn digest_of(bytes: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    Digest::of_sha256(digest.as_ref().try_into().unwrap())
}

fn image() -> Image {
    Image::of(&[b"first layer".to_vec(), vec![7; 300_000]], &Platform::host().architecture)
}

fn client(auths: &str, conf: &str) -> Registry {
    let (mut registries, mut credentials) = (Registries::default(), Credentials::default());
    registries.add(Path::new("registries.conf"), conf).unwrap();
    credentials.add(Path::new("config.json"), auths.as_bytes()).unwrap();
    Registry::new(registries, credentials)
}

async fn find(registry: &Registry, server: &Server) -> Result<Found, RegistryError> {
    registry.find(&Reference::parse(&format!("{}/app", server.address)).unwrap(), None).await
}

async fn read(registry: &Registry, found: &Found, layer: usize, from: u64) -> Vec<u8> {
    let mut blob = registry.blob(&found.place, &found.layers[layer], from).await.unwrap();
    let mut bytes = vec![];
    while let Some(piece) = blob.chunk().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// `{"auths": …}` for user `u` with this password.
fn login(server: &Server, password: &str) -> String {
    format!(r#"{{"auths": {{"{}": {{"username": "u", "password": "{password}"}}}}}}"#, server.address)
}

#[tokio::test]
async fn an_image_is_found_and_its_blobs_are_read() {
    let image = image();
    let digest = image.digest();
    let server = Server::start(move |request| image.answer(request));
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    assert_eq!((found.digest.clone(), found.layers.len()), (digest, 2));
    assert_eq!(digest_of(&registry.config(&found).await.unwrap()), found.config);
    assert_eq!(read(&registry, &found, 0, 0).await, b"first layer");
    assert_eq!(read(&registry, &found, 1, 299_990).await, [7; 10]);
    assert_eq!(server.asked("/v2/app/blobs").last().unwrap().from(), Some(299_990));
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_is_read_from_where_it_was_asked() {
    let image = image();
    let server = Server::start(move |request| {
        let whole = Request { headers: Default::default(), ..request.clone() };
        image.answer(&whole)
    });
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    assert_eq!(read(&registry, &found, 0, 6).await, b"layer");
}

/// A registry with a token service beside it. The service wants `password` of user `u` if it is given
/// one, and gives `token` for nothing otherwise; the registry wants `wanted`.
fn token_registry(wanted: &'static str) -> (Server, Server) {
    let service = Server::start(|request| match request.header("authorization") {
        None => Answer::ok(r#"{"token": "anonymous", "expires_in": 300}"#),
        Some("Basic dTpyaWdodA==") => Answer::ok(r#"{"access_token": "ours"}"#),
        Some(_) => Answer::status(401),
    });
    let (image, realm) = (image(), format!("http://{}/token?x=1", service.address));
    let server = Server::start(move |request| {
        if request.header("authorization") == Some(&format!("Bearer {wanted}")) {
            return image.answer(request);
        }
        let challenge = format!(r#"Bearer realm="{realm}",service="test",scope="repository:app:pull""#);
        Answer::status(401).header("WWW-Authenticate", challenge)
    });
    (server, service)
}

#[tokio::test]
async fn an_anonymous_token_is_asked_for_once_and_kept() {
    let (server, service) = token_registry("anonymous");
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    registry.config(&found).await.unwrap();
    let asked = service.asked("/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/token?x=1&service=test&scope=repository:app:pull");
}

#[tokio::test]
async fn credentials_are_for_the_token_service_and_the_token_for_the_registry() {
    let (server, service) = token_registry("ours");
    find(&client(&login(&server, "right"), ""), &server).await.unwrap();
    assert_eq!(service.asked("/token").len(), 1);
    assert!(
        server
            .asked("/")
            .iter()
            .all(|request| !request.header("authorization").unwrap_or("").starts_with("Basic"))
    );

    let error = find(&client(&login(&server, "wrong"), ""), &server).await.unwrap_err();
    assert!(matches!(*error.source, Failure::Unauthorised { given: true, .. }), "{error:?}");
    let error = find(&client("", ""), &server).await.unwrap_err();
    assert!(matches!(*error.source, Failure::NotFound { denied: true, .. }), "{error:?}");
}

#[tokio::test]
async fn who_may_read_and_not_write_is_told_that() {
    // No token that the service gives is enough.
    let (server, _) = token_registry("others");
    let begin = async |client: &Registry| {
        let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
        let place = client.target(&reference).unwrap();
        *client.begin_upload(&place, None).await.unwrap_err().source
    };
    assert!(matches!(begin(&client("", "")).await, Failure::Forbidden { given: false, .. }));
    let failure = begin(&client(&login(&server, "right"), "")).await;
    assert!(matches!(failure, Failure::Forbidden { given: true, .. }), "{failure:?}");
    assert_eq!(failure.remedy(), Some(Remedy::Login));
}

#[tokio::test]
async fn basic_authentication_wants_credentials() {
    let image = image();
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Basic dTpyaWdodA==") => image.answer(request),
        _ => Answer::status(401).header("WWW-Authenticate", "Basic realm=\"test\""),
    });
    find(&client(&login(&server, "right"), ""), &server).await.unwrap();
    let given = async |auths: &str| match *find(&client(auths, ""), &server).await.unwrap_err().source {
        Failure::Unauthorised { given, .. } => given,
        other => panic!("{other:?}"),
    };
    assert!(given(&login(&server, "wrong")).await);
    assert!(!given("").await);
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_credentials_along() {
    let image = image();
    let storage_image = image.clone();
    let storage = Server::start(move |request| {
        let path = request.path.replace("/storage/", "/v2/app/blobs/");
        storage_image.answer(&Request { path, ..request.clone() })
    });
    let address = storage.address;
    let server = Server::start(move |request| {
        if request.header("authorization").is_none() {
            return Answer::status(401).header("WWW-Authenticate", "Basic realm=\"test\"");
        }
        match request.path.strip_prefix("/v2/app/blobs/") {
            Some(digest) => {
                Answer::status(307).header("Location", format!("http://{address}/storage/{digest}"))
            }
            None => image.answer(request),
        }
    });
    let registry = client(&login(&server, "right"), "");
    let found = find(&registry, &server).await.unwrap();
    registry.config(&found).await.unwrap();
    assert_eq!(read(&registry, &found, 0, 6).await, b"layer");
    let asked = storage.asked("/storage/");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(asked[1].from(), Some(6));
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = Server::start(|_| Answer::status(302).header("Location", "/v2/app/manifests/latest"));
    let error = find(&client("", ""), &server).await.unwrap_err();
    assert!(matches!(*error.source, Failure::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn what_has_a_wrong_digest_or_is_too_big_is_refused() {
    let image = image();
    let server = Server::start(move |request| {
        let mut answer = image.answer(request);
        if answer.body.len() < 2000 && request.path.contains("/blobs/") {
            answer.body[0] = b' ';
        }
        answer
    });
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    let error = registry.config(&found).await.unwrap_err();
    assert!(matches!(*error.source, Failure::WrongDigest { what: "configuration", .. }), "{error:?}");
    let other = format!("{}/app@sha256:{}", server.address, "0".repeat(64));
    let error = registry.find(&Reference::parse(&other).unwrap(), None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::NotFound { denied: false, .. }), "{error:?}");

    let image = self::image();
    let server = Server::start(move |_| Answer::ok(image.manifest.as_str()));
    let other = format!("{}/app@sha256:{}", server.address, "0".repeat(64));
    let error = registry.find(&Reference::parse(&other).unwrap(), None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::WrongDigest { what: "manifest", .. }), "{error:?}");

    let server = Server::start(|_| Answer::ok(vec![b' '; 5 << 20]));
    let error = find(&registry, &server).await.unwrap_err();
    assert!(matches!(*error.source, Failure::TooBig { what: "manifest", .. }), "{error:?}");
}

#[tokio::test]
async fn an_index_offers_platforms_and_a_single_image_is_what_it_is() {
    let architecture = if Platform::host().architecture == "s390x" { "arm64" } else { "s390x" };
    let (ours, other) = (image(), Image::of(&[b"other".to_vec()], architecture));
    let entry = |image: &Image, architecture: &str| {
        serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest(),
            "size": image.manifest.len(), "platform": {"os": "linux", "architecture": architecture}})
    };
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [
        entry(&other, architecture), entry(&ours, &Platform::host().architecture),
    ]})
    .to_string();
    let (first, second) = (ours.clone(), other.clone());
    let server = Server::start(move |request| match request.path.as_str() {
        "/v2/app/manifests/latest" => Answer::ok(index.as_str()),
        _ => [&first, &second]
            .map(|image| image.answer(request))
            .into_iter()
            .find(|answer| answer.status == 200)
            .unwrap(),
    });
    let registry = client("", "");
    assert_eq!(find(&registry, &server).await.unwrap().digest, ours.digest());
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    let wanted = Platform::parse(&format!("linux/{architecture}")).unwrap();
    assert_eq!(registry.find(&reference, Some(&wanted)).await.unwrap().digest, other.digest());
    let wanted = Platform::parse("linux/riscv64").unwrap();
    let error = registry.find(&reference, Some(&wanted)).await.unwrap_err();
    assert!(
        matches!(&*error.source, Failure::NoPlatform { available, .. } if available.len() == 2),
        "{error:?}"
    );

    // Not an index: taken as it is, unless a platform was asked for.
    let server = Server::start(move |request| other.answer(request));
    let found = find(&registry, &server).await.unwrap();
    registry.config(&found).await.unwrap();
    let reference = Reference::parse(&format!("{}/app", server.address)).unwrap();
    let found = registry.find(&reference, Some(&Platform::host())).await.unwrap();
    let error = registry.config(&found).await.unwrap_err();
    assert!(matches!(*error.source, Failure::NoPlatform { .. }), "{error:?}");
}

#[tokio::test]
async fn mirrors_are_asked_first_and_what_is_said_is_what_the_last_reached_one_says() {
    let image = image();
    let digest = image.digest();
    let (empty, full) =
        (Server::start(|_| Answer::status(404)), Server::start(move |request| image.answer(request)));
    let conf = |mirrors: &[String], location: &str| {
        let mirrors: String =
            mirrors.iter().map(|mirror| format!("[[registry.mirror]]\nlocation = '{mirror}'\n")).collect();
        format!("[[registry]]\nprefix = 'example.test'\nlocation = '{location}'\n{mirrors}")
    };
    let reference = Reference::parse("example.test/app").unwrap();
    let (nobody, empty_at, full_at) =
        ("127.0.0.1:1".to_owned(), empty.address.to_string(), full.address.to_string());
    let registry = client("", &conf(&[nobody.clone(), empty_at.clone(), full_at.clone()], "127.0.0.1:1"));
    let found = registry.find(&reference, None).await.unwrap();
    assert_eq!((found.digest, found.place.host()), (digest, full_at.as_str()));
    assert_eq!(empty.asked("/v2/app/").len(), 1);

    let error = client("", &conf(&[empty_at], "127.0.0.1:1")).find(&reference, None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::NotFound { denied: false, .. }), "{error:?}");
    assert!(matches!(error.before[..], [(_, Failure::Unreachable { .. })]), "{error:?}");
    let error = client("", &conf(&[], "127.0.0.1:1")).find(&reference, None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::Unreachable { .. }), "{error:?}");
    let blocked = "[[registry]]\nlocation = 'example.test'\nblocked = true\n";
    let error = client("", blocked).find(&reference, None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::Blocked), "{error:?}");
}

#[tokio::test]
async fn a_refusal_is_told_apart_and_a_stumble_is_forgiven() {
    let registry = client("", "");
    let refusal = async |status: u16| {
        let server = Server::start(move |_| Answer::status(status));
        *find(&registry, &server).await.unwrap_err().source
    };
    assert!(matches!(refusal(404).await, Failure::NotFound { denied: false, .. }));
    assert!(matches!(refusal(403).await, Failure::NotFound { denied: true, .. }));
    assert!(matches!(refusal(429).await, Failure::RateLimited { after: None }));
    assert!(matches!(refusal(418).await, Failure::Status { status: 418, .. }));
    let (image, stumbled) = (image(), std::sync::atomic::AtomicBool::new(false));
    let server = Server::start(move |request| {
        if stumbled.swap(true, std::sync::atomic::Ordering::Relaxed) {
            image.answer(request)
        } else {
            Answer::status(503)
        }
    });
    find(&registry, &server).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let image = image();
    // Every answer is whole, and the connection is closed after it without a word.
    let server = Server::start(move |request| {
        let answer = image.answer(request);
        let length = answer.body.len();
        answer.cut(length)
    });
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    for _ in 0..3 {
        registry.config(&found).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_asked_for_again() {
    let valid = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(1));
    let issued = valid.clone();
    let service = Server::start(move |_| {
        let number = issued.load(std::sync::atomic::Ordering::Relaxed);
        Answer::ok(format!(r#"{{"token": "t{number}", "expires_in": 3600}}"#))
    });
    let (image, realm, good) = (image(), format!("http://{}/token", service.address), valid.clone());
    let server = Server::start(move |request| {
        let number = good.load(std::sync::atomic::Ordering::Relaxed);
        match request.header("authorization") == Some(&format!("Bearer t{number}")) {
            true => image.answer(request),
            false => Answer::status(401).header("WWW-Authenticate", format!(r#"Bearer realm="{realm}""#)),
        }
    });
    let registry = client("", "");
    let found = find(&registry, &server).await.unwrap();
    assert_eq!(service.asked("/token").len(), 1);
    // The registry forgets it sooner than its service said.
    valid.store(2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read(&registry, &found, 1, 299_990).await, [7; 10]);
    registry.config(&found).await.unwrap();
    assert_eq!(service.asked("/token").len(), 2);
}

#[tokio::test]
async fn a_name_without_a_registry_is_looked_for_where_the_configuration_says() {
    let image = image();
    let digest = image.digest();
    let empty = Server::start(|_| Answer::status(404));
    let full = Server::start(move |request| image.answer(request));
    let broken = Server::start(|_| Answer::status(418));
    let conf = |registries: &[&Server]| {
        let names: Vec<String> = registries.iter().map(|server| format!("'{}'", server.address)).collect();
        format!("unqualified-search-registries = [{}]\n", names.join(", "))
    };
    let app = Reference::parse("app").unwrap();
    let registry = client("", &conf(&[&empty, &full, &broken]));
    let found = registry.find(&app, None).await.unwrap();
    assert_eq!((found.digest.clone(), found.place.host()), (digest.clone(), &*full.address.to_string()));
    assert_eq!(found.place.reference().to_string(), format!("{}/app:latest", full.address));
    assert_eq!((empty.asked("/v2/app/").len(), broken.asked("/").len()), (1, 0));
    let exact = registry.digest(&app).await.unwrap();
    assert_eq!(exact.to_string(), format!("{}/app:latest@{digest}", full.address));

    // Which is the first that has it is not known where one does not say.
    let error = client("", &conf(&[&broken, &full])).find(&app, None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::Status { status: 418, .. }), "{error:?}");
    let error = client("", &conf(&[&empty, &empty])).find(&app, None).await.unwrap_err();
    assert!(matches!(*error.source, Failure::NotFound { .. }), "{error:?}");
    assert_eq!(error.before.len(), 1);
    let alias = format!("{}[aliases]\n'other' = '{}/app'\n", conf(&[&broken]), full.address);
    client("", &alias).find(&Reference::parse("other").unwrap(), None).await.unwrap();
}
