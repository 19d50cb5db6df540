//! Images pinned to the digests they have in their registries now.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use compose_spec::{Loaded, Project};
use engine::Engine;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use resource::Reference;
use std::collections::BTreeMap;

/// Registries asked at a time.
const WIDTH: usize = 8;

/// Adds its digest to every reference that has none.
///
/// # Errors
/// A text is no reference, or a registry does not know it.
pub(super) fn pin(loaded: &mut (Project, Loaded), engine: &Engine) -> Result<(), Failure> {
    let (project, Loaded { sources, .. }) = loaded;
    let mut pinned = BTreeMap::new();
    runtime::interruptible(Size::One, async {
        let asked = project.image_references().into_iter().map(|(text, service)| {
            let span = project.services[&service].place_of_image(&text);
            exact(engine, text, format!("service `{service}` ({})", sources.place(span)))
        });
        pinned = stream::iter(asked).buffer_unordered(WIDTH).try_collect().await?;
        Ok(Exit::Success)
    })?;
    project.pin_images(&pinned);
    Ok(())
}

/// A reference as it is written, and whole: with registry, tag and digest. `who` asks for it.
async fn exact(engine: &Engine, text: String, who: String) -> Result<(String, String), Failure> {
    let what = || format!("{who}: cannot pin the image `{text}`");
    let reference = Reference::parse(&text).map_err(|error| Failure::because(what(), error))?;
    let exact = match &reference.digest {
        // A tag beside a digest that was written says nothing.
        Some(_) => Reference { tag: None, ..reference },
        None => engine.digest(&reference).await.map_err(|error| Failure::because(what(), error))?,
    };
    Ok((text, exact.to_string()))
}
