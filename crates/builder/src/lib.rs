//! Stages to images: a graph of the stages that are needed, a result for each step, kept by its content.
//!
//! ```text
//! graph    BuildSpecs -> Dockerfiles read, stages needed, each after those it needs
//! stage    one thread a stage: instruction by instruction, waiting for other stages where it takes from them
//! state    layers + configuration + variables: what a stage has come to
//! ```
//! * A step's key is the digest of all its result depends on: the layers it stands on, what it does as
//!   expanded, the contents of the files it takes. Its result is a layer. Configuration is computed anew
//!   each time, so that a label changes no step after it.
//! * Whoever makes a result holds the lock of its key: the same step in another stage, build or process
//!   waits and takes it. Nobody waits while holding a slot for work.
//! * Files go from where they are straight into the layer, by descriptor. A container's changes become
//!   the layer by one rename.
//! * A process that is killed leaves whole results, and folders that the store sweeps.
//!
//! What needs the engine, containers and registries, is asked of a [`Machine`].

mod bases;
mod board;
mod cache;
mod check;
mod context;
mod copy;
mod error;
mod event;
mod foreign;
mod git;
mod graph;
mod machine;
mod mode;
mod mounts;
mod remote;
mod run;
mod source;
mod stage;
mod state;
mod transfer;
mod tree;

pub use bases::{Base, bases};
pub use check::{Findings, check};
pub use error::BuildError;
pub use event::{Event, EventKind};
pub use machine::{Cause, Job, Machine, Ran, Version};

use board::Board;
use error::chain;
use graph::{Contexts, Graph, Node, Target};
use resource::{BuildCache, BuildSpec, Digest, Image, Labels, Reference, Timestamp};
use stage::Site;
use state::{Key, State};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use store::{Assembly, StepResult, StepSlot, Store};

/// Bytes of layers that results of steps may keep besides those of images.
const KEPT: u64 = 20 << 30;

/// Builds images side by side, `width` steps at a time. Blocks. The images come back in the order of
/// `specs`, each under its first reference.
///
/// # Errors
/// [`BuildError`], the first thing that failed. Results that are whole by then stay.
pub fn build(
    store: &Store,
    specs: &[BuildSpec],
    width: NonZeroUsize,
    machine: &dyn Machine,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Vec<Image>, BuildError> {
    store.prepare().map_err(|error| BuildError::general("store", chain(&error)))?;
    let mut contexts = Contexts::fetching(store, machine);
    let targets = specs.iter().map(|spec| Target::read(spec, &mut contexts)).collect::<Result<_, _>>()?;
    let graph = Graph::new(targets)?;
    foreign::check(&graph)?;
    let board = Board::new(width.get());
    let site =
        Site { store, machine, graph: &graph, board: &board, tell, images: Mutex::new(HashMap::new()) };
    let perform = |node: Node| {
        if board.claim(node) {
            stage::perform(&site, node);
        }
    };
    match graph.nodes.as_slice() {
        // The most common case by far needs no thread.
        [node] => perform(*node),
        nodes => std::thread::scope(|scope| {
            for node in nodes {
                scope.spawn(|| perform(*node));
            }
        }),
    }
    contexts.all().for_each(|context| context.keep(store));
    let made_something = board.has_made_something();
    export(store, specs, &graph, &board)?;
    let states = board.end()?;
    let mut images = vec![];
    for (target, spec) in specs.iter().enumerate() {
        let Some(state) = states.get(&graph.wanted(target)) else { continue };
        let image = finish(store, spec, &graph.targets[target], state);
        let image = image.map_err(|error| {
            BuildError::general(
                "store",
                format!("cannot keep the image of `{}`: {}", spec.name, chain(&error)),
            )
        })?;
        tell(Event { step: 0, kind: EventKind::Ready(image.id.clone()) });
        images.push(image);
    }
    if made_something {
        // Too many old results only cost room; the next build tries again.
        drop(store.forget_steps(KEPT));
    }
    Ok(images)
}

/// Writes the results of a build that went well where it was told to keep them.
fn export(store: &Store, specs: &[BuildSpec], graph: &Graph, board: &Board) -> Result<(), BuildError> {
    for (target, spec) in specs.iter().enumerate() {
        for BuildCache { folder, all } in &spec.cache_to {
            if board.has_failed() {
                continue;
            }
            let steps = board
                .steps_of(|node| if *all { node.target == target } else { graph.is_made_of(target, node) });
            cache::write(store, folder, &steps).map_err(|error| {
                let message =
                    format!("cannot write the cache of `{}` to {}: {error}", spec.name, folder.display());
                BuildError::general("unusable-cache", message)
            })?;
        }
    }
    Ok(())
}

/// Makes the image of a stage's end, unless it is there already.
fn finish(
    store: &Store,
    spec: &BuildSpec,
    target: &Target,
    state: &State,
) -> Result<Image, store::StoreError> {
    let mut config = state.config.clone();
    config.labels.extend(spec.labels.clone());
    let created = created(store, state, &config.labels)?;
    let Some((first, others)) = spec.references.split_first() else {
        return Ok(Image::empty());
    };
    let platform = (target.platform != resource::Platform::host()).then_some(&target.platform);
    let layers = state.all_layers();
    let is_it =
        |image: &Image| image.layers == layers && image.config == config && image.created == Some(created);
    let here = |reference: &Reference| store.image(reference, platform).filter(is_it);
    let image = match here(first) {
        Some(image) => image,
        None => {
            let pin = store.pin(&layers)?;
            let assembly = Assembly {
                reference: first,
                platform,
                base: state.base.as_ref(),
                layers: &state.layers,
                config: &config,
                author: state.author.as_deref(),
                created,
                history: &state.history,
            };
            store.assemble_image(&assembly, pin)?
        }
    };
    for reference in others {
        if here(reference).is_none_or(|other| other.id != image.id) {
            store.tag_image(&image, reference)?;
        }
    }
    Ok(image)
}

/// When the image was made: the same images are made once. Kept as a step's result is.
fn created(store: &Store, state: &State, labels: &Labels) -> Result<Timestamp, store::StoreError> {
    let layers = state.all_layers();
    let history: Vec<String> =
        state.history.iter().map(|step| format!("{} {}", step.created, step.created_by)).collect();
    let labels: BTreeMap<_, _> = labels.iter().map(|(key, value)| (key, format!("{key}={value}"))).collect();
    let key: Digest = Key::new("image")
        .with_all(layers.iter().map(Digest::as_str))
        .with_all(&history)
        .with_all(labels.values())
        .with(format!("{:?} {:?}", state.config, state.author))
        .finish();
    match store.begin_step(&key)? {
        StepSlot::Present(result) => Ok(result.created),
        StepSlot::Missing(writer) => {
            let created = Timestamp::now();
            writer.keep(&StepResult { layer: None, created })?;
            Ok(created)
        }
    }
}
