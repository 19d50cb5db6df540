//! Pulls from a registry in a thread: cut connections, wrong content, shared layers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../registry/tests/support/mod.rs"]
mod support;

use engine::pull::{PullError, PullEvent, pull};
use registry::{Credentials, Registries, Registry};
use resource::{Image as Stored, ImageNeed, Platform, PullPolicy, Reference, Roots};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Store, StoreError, UnpackError, digest_of};
use support::{Answer, Image, Server};

/// A store below a folder that is removed at the end.
struct TestStore {
    folder: PathBuf,
    store: Store,
}

impl TestStore {
    fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pull-test-{}-{count}", std::process::id()));
        Self { store: Store::open(&Roots::below(&folder)).unwrap(), folder }
    }

    async fn pull(&self, server: &Server) -> (Result<Stored, PullError>, Vec<PullEvent>) {
        let registry = Registry::new(Registries::default(), Credentials::default());
        let events = Mutex::new(vec![]);
        let need = ImageNeed {
            reference: Reference::parse(&format!("{}/app", server.address)).unwrap(),
            platform: None,
            policy: PullPolicy::Always,
            buildable: false,
            resolved: None,
            place: String::new(),
        };
        let tell = |event: PullEvent| events.lock().unwrap().push(event);
        let pulled = pull(&self.store, &registry, &need, &tell).await;
        (pulled, events.into_inner().unwrap())
    }

    fn leftovers(&self) -> usize {
        let entries = std::fs::read_dir(self.store.roots().data.join("tmp")).into_iter().flatten().flatten();
        entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with("empty")).count()
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An archive of one file.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{:011o}\x0000000000000\0        0", content.len()).as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = [&header[..], content].concat();
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

fn layers() -> Vec<Vec<u8>> {
    let big: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    vec![archive("first", b"1"), archive("big", &big), archive("first", b"2"), archive("last", b"3")]
}

fn image() -> Image {
    Image::of(&layers(), &Platform::host().architecture)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_once_and_its_layers_are_shared() {
    let test = TestStore::new();
    let image = image();
    let server = Server::start(move |request| image.answer(request));
    let (pulled, events) = test.pull(&server).await;
    let pulled = pulled.unwrap();
    assert_eq!(pulled.config.command, ["/run"]);
    assert_eq!(events.iter().filter(|event| matches!(event, PullEvent::Done(_))).count(), 4);
    assert_eq!(std::fs::read(test.store.layer_path(&pulled.layers[2]).join("first")).unwrap(), b"2");
    assert_eq!(test.store.image(&pulled.reference, None).unwrap(), pulled);
    let (again, events) = test.pull(&server).await;
    assert_eq!(again.unwrap().manifest, pulled.manifest);
    assert_eq!(events.last(), Some(&PullEvent::UpToDate));

    // Another image with the same big layer: only what is new is fetched.
    let other = Image::of(&[layers()[1].clone(), archive("new", b"")], &Platform::host().architecture);
    let server = Server::start(move |request| other.answer(request));
    let (pulled, events) = test.pull(&server).await;
    pulled.unwrap();
    let big = digest_of(&layers()[1]);
    assert!(events.contains(&PullEvent::Present(big.clone())));
    assert!(server.asked(&format!("/v2/app/blobs/{big}")).is_empty());
    assert_eq!(test.leftovers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_goes_on_from_where_it_was() {
    let test = TestStore::new();
    let image = image();
    let big = digest_of(&layers()[1]);
    let path = format!("/v2/app/blobs/{big}");
    let counted = path.clone();
    let server = Server::start(move |request| {
        let answer = image.answer(request);
        let cut = request.path == path && answer.body.len() > 1_000_000;
        if cut { answer.cut(1_000_000) } else { answer }
    });
    let (pulled, events) = test.pull(&server).await;
    pulled.unwrap();
    let asked = server.asked(&counted);
    assert_eq!(
        asked.iter().map(support::Request::from).collect::<Vec<_>>(),
        [None, Some(1_000_000), Some(2_000_000), Some(3_000_000)]
    );
    assert_eq!(events.iter().filter(|event| **event == PullEvent::Resumed(big.clone())).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_wrong_content_is_refused_and_leaves_nothing() {
    let test = TestStore::new();
    let image = image();
    let big = digest_of(&layers()[1]);
    let server = Server::start(move |request| {
        let mut answer = image.answer(request);
        if answer.body.len() > 1_000_000 {
            answer.body[500_000] ^= 1;
        }
        answer
    });
    let (pulled, _) = test.pull(&server).await;
    let error = pulled.unwrap_err();
    let PullError::Store(StoreError::Unpack { source, digest }) = &error else { panic!("{error:?}") };
    assert!(matches!(**source, UnpackError::WrongDigest { .. }), "{source:?}");
    assert_eq!(*digest, big.to_string());
    assert!(test.store.images().is_empty() && !test.store.has_layer(&big));
    assert_eq!(test.leftovers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_does_not_come_is_an_error_of_the_registry() {
    let test = TestStore::new();
    let image = image();
    let server = Server::start(move |request| {
        let answer = image.answer(request);
        if answer.body.len() > 1_000_000 { Answer::status(404) } else { answer }
    });
    let (pulled, _) = test.pull(&server).await;
    assert!(matches!(pulled.unwrap_err(), PullError::Registry(_)));
    assert!(test.store.images().is_empty());
    assert_eq!(test.leftovers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_at_once_make_each_layer_once() {
    let test = TestStore::new();
    let image = image();
    let server = Server::start(move |request| image.answer(request));
    let (first, second) = tokio::join!(test.pull(&server), test.pull(&server));
    assert_eq!(first.0.unwrap().layers, second.0.unwrap().layers);
    for layer in layers() {
        assert_eq!(server.asked(&format!("/v2/app/blobs/{}", digest_of(&layer))).len(), 1);
    }
}
