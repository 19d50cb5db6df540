//! Scenarios about registries that do what no honest one would, and about those that merely do it badly.

use scenarios::{
    End, Image, Question, Reply, Trickster, World, free_port, image_index, scenario, telling_image, until,
};
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

scenario! {
    /// Whatever a registry or its token service says instead of giving what it is asked for is told with the service, the
    /// line and what to do about it: by a pull, by a push, and by a login.
    what_a_registry_says_is_told_with_what_to_do, |world| {
        let pulled = |registry: &Trickster, says: &[&str], help: &str| {
            let output = pull(world, registry).exits(1);
            let help = format!("  = help: {help}");
            for text in ["`web` (compose.yaml:3:12): ", help.as_str()].iter().chain(says) {
                assert!(output.stderr.contains(text), "no {text:?} in\n{}", output.stderr);
            }
            assert_eq!(output.stderr.matches("error: ").count(), 1, "{}", output.stderr);
        };
        let login = |registry: &Trickster, says: &str, help: &str| {
            let address = registry.address();
            let output = world.run(&["login", "-u", "user", "--password-stdin", &address], "secret").exits(1);
            assert!(output.stderr.contains(&format!("cannot log in to {address}")), "{}", output.stderr);
            output.says(says).says(&format!("  = help: {help}"));
        };
        let always = |reply: Reply| Trickster::start(LOOPBACK, move |_| reply.clone());
        let served = |reply: Reply| {
            let service = always(reply);
            guarded(image("t"), format!("http://{}/token", service.address()))
        };
        let page = || Reply::of("200 OK", b"<html>Who are you?</html>".to_vec()).with("Content-Type", "text/html");
        let text = |status: &'static str, text: &str| Reply::of(status, text.as_bytes().to_vec());

        let limited = |pause: &str| Reply::status("429 Too Many Requests").with("Retry-After", pause);
        let later = "try again later; who has logged in may be allowed more: `compose login ";
        pulled(&always(limited("3600")), &["no more requests", "for 3600 seconds"], later);
        pulled(&always(limited("Wed, 21 Oct 2065 07:28:00 GMT")), &["no more requests", " seconds"], later);
        pulled(&served(limited("3600")), &["no more requests"], later);
        login(&always(limited("3600")), "no more requests", "try again later\n");

        let trouble = "that is the registry's own trouble";
        let down = || text("503 Service Unavailable", "down for\u{1b}[2J repairs");
        pulled(&always(down()), &["answers 503: down for[2J repairs"], trouble);
        pulled(&served(down()), &["/token answers 503: down for"], trouble);
        login(&always(down()), "answers 503", trouble);

        let answerer = "check the name of the registry: what answers there is none";
        pulled(&always(page()), &["a web page came instead of its manifest"], answerer);
        pulled(&served(page()), &["a web page came instead of its token"], answerer);
        pulled(&served(text("200 OK", "{}")), &["gives no token"], answerer);
        pulled(&always(Reply::status("302 Found")), &["redirects to nowhere"], answerer);
        pulled(&served(Reply::status("302 Found").with("Location", "http://127.0.0.2:1/token")), &["/token answers 302"], answerer);
        login(&always(text("404 Not Found", "no page")), "/v2/ answers 404: no page", answerer);
        login(&always(page()), "a web page came instead of its answer", answerer);

        let reach = "check the name of the registry, and whether this machine reaches it";
        let nobody = guarded(image("n"), format!("http://127.0.0.1:{}/token", free_port()));
        pulled(&nobody, &["Connection refused"], reach);

        let damaged = "try again; if it stays so, the registry or something between is at fault";
        let changed = |question: &Question, image: &Image| {
            let mut reply = Reply::honest(question, image);
            *reply.body.last_mut().unwrap() ^= 1;
            reply
        };
        pulled(&with_layer(image("w"), changed), &["its digest is sha256:", "and should be sha256:"], damaged);
        pulled(&with_layer(image("x"), |_, _| Reply::status("404 Not Found")), &["the registry lacks its layer"], damaged);

        pulled(&always(text("200 OK", "half").cut(2, End::Close)), &["is no good"], damaged);

        let other = telling_image("team/app:1", "elsewhere", Some("made-up"));
        let elsewhere = serving(image_index("team/app:1", &[("made-up", &other)]));
        let ask = "ask for one that there is, `platform: linux/made-up`";
        pulled(&elsewhere, &["it is not made for linux/", "there is linux/made-up"], ask);

        let unproved = |challenge: &str| Reply::status("401 Unauthorized").with("WWW-Authenticate", challenge);
        let wants = "log in to the registry: `compose login ";
        for challenge in ["Basic realm=\"x\"", "Negotiate"] {
            pulled(&always(unproved(challenge)), &["wants a login"], wants);
        }
        pulled(&always(unproved("Bearer service=\"x\"")), &["its token service has no address"], answerer);
        login(&always(unproved("Negotiate")), "takes a name and a password", answerer);
        let suspended = move || text("403 Forbidden", r#"{"errors":[{"code":"DENIED","message":"this account is suspended"}]}"#);
        pulled(&served(suspended()), &["wants a login; it says: this account is suspended"], wants);
        let refused = served(suspended());
        let output = world.run(&["login", "-u", "user", "--password-stdin", &refused.address()], "secret").exits(1);
        output.says("does not accept this name and password; it says: this account is suspended");
        let hidden = "check the name and the tag; a private image needs a login: `compose login ";
        pulled(&always(suspended()), &["there is no such image, or reading it needs a login; it says: this account"], hidden);

        std::fs::create_dir(world.project().join("files")).unwrap();
        world.write("files/one", "one\n");
        world.compose("image import files localhost/files:1").ok();
        let pushed = |reply: Reply, says: &str, help: &str| {
            let registry = Trickster::start(LOOPBACK, move |question| match question.path.contains("/blobs/uploads/") {
                true => reply.clone(),
                false => Reply::status("404 Not Found"),
            });
            let target = format!("{}/team/files:1", registry.address());
            let output = world.run(&["image", "push", "localhost/files:1", &target], "").exits(1);
            output.says(&format!("the registry {} did not take it", registry.address())).says(says).says(help);
        };
        pushed(text("403 Forbidden", "this is read-only"), "writing there needs a login; it says: this is read-only", wants);
        let missing = text("404 Not Found", r#"{"errors":[{"code":"NAME_UNKNOWN","message":"make it first"}]}"#);
        pushed(missing, "there is no such repository; it says: make it first", "some registries want a repository to be made");
        pushed(Reply::status("413 Payload Too Large"), "answers 413", "have its limit raised, or make the layer smaller");
        pushed(down(), "answers 503", trouble);

        let withheld = with_layer(image("z"), move |_, _| suspended());
        pulled(&withheld, &["does not let its layer sha256:", " be read; it says: this account"], wants);
    }
}

scenario! {
    /// What several processes want at the same time is fetched once: the others wait for whoever fetches it, and one
    /// of them takes over when that one is killed in the middle.
    a_layer_is_fetched_once_by_all_who_want_it, |world| {
        let (wanted, count) = (image("wanted by many"), AtomicUsize::new(0));
        let (base, layer) = (wanted.blobs[0].0.clone(), wanted.blobs[1].0.clone());
        let config = wanted.blobs.last().unwrap().0.clone();
        let registry = with_layer(wanted, move |question, image| match count.fetch_add(1, Ordering::Relaxed) {
            0 => {
                let honest = Reply::honest(question, image);
                let half = honest.body.len() / 2;
                honest.cut(half, End::Stays)
            }
            _ => Reply::honest(question, image),
        });
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        let mut asked = vec![];
        let mut times = |blob: &str| {
            asked.extend(registry.asked().into_iter().map(|question| question.path));
            asked.iter().filter(|path| path.ends_with(blob)).count()
        };
        let mut first = world.background("pull");
        until("the layer is asked for", || (times(&layer) == 1).then_some(()));
        // That below it is there.
        first.line("Pull complete");
        let mut others: Vec<_> = (0..3).map(|_| world.background("pull")).collect();
        until("the others know what they want", || (times(&config) == 4).then_some(()));
        others.iter_mut().for_each(|other| drop(other.line("Waiting")));
        first.signal("KILL");
        for other in &mut others {
            assert_eq!(other.end(), 0, "{:?}", other.lines());
        }
        assert_eq!((times(&base), times(&layer)), (1, 2));
        world.compose("system prune --force").ok();
        world.assert_nothing_half_made();
        assert_eq!(world.compose("run --rm -T web cat /told").ok().stdout, "wanted by many");
        world.compose("down").ok();
    }
}

scenario! {
    /// An image that somebody takes away while an `up` waits for another one is fetched again.
    what_is_taken_away_while_the_rest_comes_is_fetched_again, |world| {
        world.compose("pull early").ok();
        let late = image("late");
        let (sender, allowed) = std::sync::mpsc::channel::<()>();
        let registry = with_layer(late, move |question, image| {
            allowed.recv().unwrap();
            Reply::honest(question, image)
        });
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        let mut up = world.background("up -d");
        up.line("Pulling fs layer");
        world.compose("image prune --all --force").ok().says("Untagged: busybox:latest");
        sender.send(()).unwrap();
        assert_eq!(up.end(), 0, "{:?}", up.lines());
        let pulled = |image: &str, times: usize, up: &mut scenarios::Background| {
            let done = up.lines().iter().filter(|line| line.ends_with(&format!("{image} Pulled"))).count();
            assert_eq!(done, times, "{:?}", up.lines());
        };
        pulled("team/app:1", 1, &mut up);
        pulled("busybox", 1, &mut up);
        assert_eq!((world.state("early"), world.state("late")), ("running".to_owned(), "running".to_owned()));
        world.compose("down -t 0").ok();
    }
}
