//! Pushes of images, as `push`, `image push` and `build --push` do and show them.

use crate::exit::Failure;
use crate::perform;
use crate::view::progress::{Line, Progress, Status};
use crate::view::size;
use engine::{Engine, EngineError, PushEvent};
use resource::{Digest, Image, Reference};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Pushes an image, or those for several platforms together, under this reference and shows how it goes;
/// returns the digest it has there.
pub(crate) async fn push(
    engine: &Engine,
    images: &[Image],
    reference: &Reference,
    progress: &Progress,
) -> Result<Digest, Failure> {
    let id = format!("Image {}", reference.written());
    progress.tell(&Line::new(id.clone(), Status::Working, "Pushing"));
    let layers = Layers { id: id.clone(), sizes: Mutex::default() };
    let tell = |event| layers.told(event).iter().for_each(|line| progress.tell(line));
    let pushed = match images {
        [image] => engine.push(image, reference, &tell).await,
        images => engine.push_together(images, reference, &tell).await,
    };
    match pushed {
        Ok(pushed) => {
            let details = format!("digest: {} size: {}", pushed.digest, pushed.size);
            progress.tell(&Line::new(id, Status::Done, "Pushed").details(details));
            Ok(pushed.digest)
        }
        Err(error) => {
            progress.tell(&Line::new(id, Status::Error, "Error"));
            Err(failure(&error))
        }
    }
}

/// The failure that a push's error is for the user.
fn failure(error: &EngineError) -> Failure {
    let failure = Failure::new(perform::chain(error));
    match crate::remedies::of(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Layers of an image on their way.
struct Layers {
    /// The line of the image.
    id: String,
    /// Bytes sent of each.
    sizes: Mutex<HashMap<Digest, u64>>,
}

impl Layers {
    /// What is shown of an event.
    fn told(&self, event: PushEvent) -> Vec<Line> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |layer: &Digest, status, text: &str| {
            let part = layer.hex().get(..12).unwrap_or_default();
            let mut line = Line::new(part, status, text);
            line.parent = Some(self.id.clone());
            line
        };
        match event {
            PushEvent::Found(layers) => {
                layers.iter().map(|layer| line(layer, Status::Working, "Preparing")).collect()
            }
            PushEvent::Present(layer) => vec![line(&layer, Status::Done, "Layer already exists")],
            PushEvent::Mounted(layer) => vec![line(&layer, Status::Done, "Mounted from its repository")],
            PushEvent::Progress { layer, done, total } => {
                let mut line = line(&layer, Status::Working, "Pushing");
                line.bytes = total.map(|total| (done, total));
                sizes.insert(layer, done);
                vec![line]
            }
            PushEvent::Done(layer) => {
                let sent = sizes.get(&layer).copied().unwrap_or(0);
                vec![line(&layer, Status::Done, "Pushed").details(size::human(sent))]
            }
        }
    }
}
