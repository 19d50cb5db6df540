//! Scenarios about registries that do what no honest one would, and about those that merely do it badly.

use scenarios::{End, Image, Question, Reply, Trickster, World, scenario, telling_image};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// The image, each time with a layer that nobody has yet.
fn image(text: &str) -> Image {
    telling_image("team/app:1", text, None)
}

/// Whether the upper layer is asked for.
fn is_layer(question: &Question, image: &Image) -> bool {
    question.path.ends_with(&image.blobs[1].0)
}

/// The image with a manifest that was meddled with.
fn meddled(text: &str, meddle: impl Fn(&mut Value)) -> Image {
    let mut image = image(text);
    let mut manifest = serde_json::from_slice(&image.manifest).unwrap();
    meddle(&mut manifest);
    image.manifest = serde_json::to_vec(&manifest).unwrap();
    image
}

fn serving(image: Image) -> Trickster {
    Trickster::start(LOOPBACK, move |question| Reply::honest(question, &image))
}

/// A registry that is honest but for the upper layer.
fn with_layer(image: Image, answer: impl Fn(&Question, &Image) -> Reply + Send + 'static) -> Trickster {
    Trickster::start(LOOPBACK, move |question| match is_layer(question, &image) {
        true => answer(question, &image),
        false => Reply::honest(question, &image),
    })
}

/// A registry that wants a token of the service at this address.
fn guarded(image: Image, realm: String) -> Trickster {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"tricks\"");
    Trickster::start(LOOPBACK, move |question| match question.authorization.as_str() {
        "" => Reply::status("401 Unauthorized").with("WWW-Authenticate", &challenge),
        _ => Reply::honest(question, &image),
    })
}

fn pull(world: &World, registry: &Trickster) -> scenarios::Output {
    world.write(".env", &format!("REGISTRY={}\n", registry.address()));
    world.compose("pull")
}

scenario! {
    /// What is too long or without an end, leads in circles or elsewhere, makes no sense or cannot be had is
    /// refused with the service, the line and one clear sentence; nobody else is asked for anything, and nothing
    /// half-made stays in the store.
    a_registry_that_plays_tricks_is_seen_through, |world| {
        let refused = |registry: &Trickster, said: &str| {
            let output = pull(world, registry).exits(1);
            for text in ["`web`", "compose.yaml:3:12", &registry.address(), said] {
                assert!(output.stderr.contains(text), "no {text:?} in\n{}", output.stderr);
            }
            assert!(output.stderr.matches("error: ").count() == 1, "{}", output.stderr);
            assert_eq!(world.compose("image ls -q").ok().stdout, "", "{said}");
            let left = std::fs::read_dir(world.roots().data.join("tmp")).into_iter().flatten().flatten();
            assert_eq!(left.count(), 0, "{said}");
        };
        let elsewhere = Trickster::start(ELSEWHERE, |_| Reply::of("200 OK", br#"{"token": "stolen"}"#.to_vec()));

        let circle = |question: &Question, _: &Image| Reply::status("307 Temporary Redirect").with("Location", &question.path);
        refused(&with_layer(image("a"), circle), "redirects in circles");
        let longer = |question: &Question, image: &Image| {
            let mut body = Reply::honest(question, image).body;
            body.extend_from_slice(&[0; 1000]);
            Reply::of("200 OK", body)
        };
        refused(&with_layer(image("b"), longer), "and should have");
        let endless = |question: &Question, image: &Image| {
            Reply { length: None, end: End::Never, ..Reply::honest(question, image) }
        };
        refused(&with_layer(image("c"), endless), "and should have");
        let promising = |question: &Question, image: &Image| {
            let honest = Reply::honest(question, image);
            Reply { length: Some(1 << 40), ..honest }
        };
        refused(&with_layer(image("d"), promising), "is no good");

        let huge = Trickster::start(LOOPBACK, |_| Reply::of("200 OK", vec![b'x'; 100 << 20]));
        refused(&guarded(image("e"), format!("http://{}/token", huge.address())), "the token has more than 262144 bytes");
        let away = format!("http://{}/token", elsewhere.address());
        let leading = Trickster::start(LOOPBACK, move |_| Reply::status("302 Found").with("Location", &away));
        refused(&guarded(image("f"), format!("http://{}/token", leading.address())), "/token answers 302");

        let address = format!("http://{}/layer", elsewhere.address());
        let foreign = meddled("g", |manifest| {
            manifest["layers"][1]["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
            manifest["layers"][1]["digest"] = json!(format!("sha256:{:064}", 1));
            manifest["layers"][1]["urls"] = json!([address]);
        });
        refused(&serving(foreign), "lacks its layer sha256:0000");
        assert!(elsewhere.asked().is_empty(), "nobody was to be asked elsewhere");

        let many = meddled("h", |manifest| manifest["layers"] = vec![manifest["layers"][0].clone(); 15_000].into());
        refused(&serving(many), "15000 layers");
        let other = meddled("i", |manifest| manifest["layers"][0]["digest"] = json!(format!("sha512:{:0128}", 1)));
        refused(&serving(other), "is not a sha256 digest");
        let secret = meddled("j", |manifest| {
            manifest["layers"][1]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
        });
        refused(&serving(secret), "is encrypted");
        let none = meddled("k", |manifest| *manifest = json!({"schemaVersion": 2, "manifests": []}));
        refused(&serving(none), "has no image at all");
        let (mut garbled, nothing) = (image("l"), b"this is no JSON".to_vec());
        let digest = serde_json::from_slice::<Value>(&garbled.manifest).unwrap()["config"]["digest"].clone();
        garbled.blobs.last_mut().unwrap().1 = nothing;
        refused(&serving(garbled), &format!("should have {}", digest.as_str().unwrap()));
    }
}

scenario! {
    /// A download that is reset goes on where it was, also where the registry knows no ranges, or answers that
    /// there is nothing from there on; it needs no promised length. A registry that asks for a pause is given it.
    /// Another host
    /// that it leads to is not told who asks.
    a_registry_that_stumbles_is_forgiven, |world| {
        let pulled = |registry: &Trickster| drop(pull(world, registry).ok());
        let asked = |registry: &Trickster, layer: &str| {
            let asked = registry.asked().into_iter().filter(|question| question.path.ends_with(layer));
            asked.map(|question| question.from).collect::<Vec<_>>()
        };
        // The first time the half of it.
        let stumbling = |text: &str, then: fn(&Question, &Image) -> Reply| {
            let (image, count) = (image(text), AtomicUsize::new(0));
            let (layer, half) = (image.blobs[1].0.clone(), image.blobs[1].1.len() / 2);
            let registry = with_layer(image, move |question, image| match count.fetch_add(1, Ordering::Relaxed) {
                0 => Reply::honest(question, image).cut(half, End::Reset),
                _ => then(question, image),
            });
            (registry, layer)
        };
        let (resets, layer) = stumbling("a", Reply::honest);
        pulled(&resets);
        assert_eq!(asked(&resets, &layer).len(), 2);
        let from_the_start = |question: &Question, image: &Image| {
            Reply::honest(&Question { from: None, ..question.clone() }, image)
        };
        let (knows_no_ranges, _) = stumbling("b", from_the_start);
        pulled(&knows_no_ranges);
        let (has_lost_it, layer) = stumbling("c", |question, image| match question.from {
            Some(_) => Reply::status("416 Range Not Satisfiable"),
            None => Reply::honest(question, image),
        });
        pulled(&has_lost_it);
        let from = asked(&has_lost_it, &layer);
        assert!(from.first() == Some(&None) && from.last() == Some(&None), "{from:?}");
        let unmeasured = |question: &Question, image: &Image| {
            Reply { length: None, ..Reply::honest(question, image) }
        };
        pulled(&with_layer(image("d"), unmeasured));

        let (busy, count) = (image("e"), AtomicUsize::new(0));
        let busy = Trickster::start(LOOPBACK, move |question| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::status("429 Too Many Requests").with("Retry-After", "1"),
            _ => Reply::honest(question, &busy),
        });
        pulled(&busy);

        let (leading, there) = (image("f"), image("f"));
        let elsewhere = Trickster::start(ELSEWHERE, move |question| Reply::honest(question, &there));
        let service = Trickster::start(LOOPBACK, |_| Reply::of("200 OK", br#"{"token": "whispered"}"#.to_vec()));
        let challenge = format!("Bearer realm=\"http://{}/token\"", service.address());
        let away = format!("http://{}", elsewhere.address());
        let leading = Trickster::start(LOOPBACK, move |question| match question.authorization.as_str() {
            "" => Reply::status("401 Unauthorized").with("WWW-Authenticate", &challenge),
            _ if is_layer(question, &leading) => {
                Reply::status("307 Temporary Redirect").with("Location", &format!("{away}{}", question.path))
            }
            _ => Reply::honest(question, &leading),
        });
        pulled(&leading);
        assert!(leading.asked().iter().any(|question| question.authorization == "Bearer whispered"));
        let told = elsewhere.asked();
        assert!(!told.is_empty() && told.iter().all(|question| question.authorization.is_empty()), "{told:?}");
    }
}
