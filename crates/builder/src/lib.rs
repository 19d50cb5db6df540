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

mod agent;
mod bases;
mod board;
mod cache;
mod check;
mod context;
mod copy;
mod emulator;
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
mod secret;
mod selection;
mod source;
mod stage;
mod state;
mod transfer;
mod tree;

pub use bases::{Base, bases};
pub use check::{Findings, check};
pub use emulator::lacking as lacking_emulator;
pub use error::BuildError;
pub use event::{Event, EventKind};
pub use machine::{Cause, GivenUp, Job, Machine, Ran, Remote, Version};

use board::Board;
use error::chain;
use graph::{Contexts, Graph, Node, Target};
use resource::{BuildCache, BuildSpec, CacheTarget, Digest, Image, Labels, Reference, Timestamp};
use stage::Site;
use state::{Key, State};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use store::{Assembly, BUILD_CACHE, StepResult, StepSlot, Store};

/// Bytes of layers that results of steps may keep besides those of images.
const KEPT: u64 = 20 << 30;
/// Bytes that cache mounts and checkouts of repositories may keep.
const KEPT_IN_FOLDERS: u64 = 20 << 30;
/// Indexes of contexts, and digests of what was taken from stages, that are kept.
const KEPT_INDEXES: usize = 4096;

/// Builds images side by side, `width` steps at a time. Blocks. The images come back in the order of
/// `specs`, each under its first reference.
///
/// # Errors
/// [`BuildError`]: all that failed before the rest was given up. Results that are whole by then stay.
pub fn build(
    store: &Store,
    specs: &[BuildSpec],
    width: NonZeroUsize,
    machine: &dyn Machine,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Vec<Image>, BuildError> {
    store.prepare().map_err(|error| BuildError::general("store", chain(&error)))?;
    let mut contexts = Contexts::fetching(store, machine);
    let (specs, firsts) = for_each_platform(specs);
    let graph = Graph::new(Target::read_all(&specs, &mut contexts)?)?;
    foreign::check(&graph)?;
    check::refuse(&graph, store)?;
    let board = Board::new(width.get());
    let (images, pins) = (Mutex::new(HashMap::new()), Mutex::default());
    let site = Site { store, machine, graph: &graph, board: &board, tell, images, pins };
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
    export(store, &specs, &firsts, &graph, &board, machine)?;
    let steps = |target: usize| board.steps_of(|node| graph.is_made_of(target, node));
    let inline: Vec<Option<serde_json::Value>> = specs
        .iter()
        .enumerate()
        .map(|(target, spec)| is_inline(spec).then(|| cache::registry::field(&steps(target))))
        .collect();
    let states = board.end()?;
    check::tell(&graph, &firsts, store, tell);
    let mut images = vec![];
    for (target, spec) in specs.iter().enumerate() {
        let Some(state) = states.get(&graph.wanted(target)) else { continue };
        let image = finish(store, spec, &graph.targets[target], state, inline[target].as_ref());
        let image = image.map_err(|error| {
            BuildError::general(
                "store",
                format!("cannot keep the image of `{}`: {}", spec.name, chain(&error)),
            )
        })?;
        tell(Event { step: 0, kind: EventKind::Ready(image.id.clone()) });
        if firsts.contains(&target) {
            images.push(image);
        }
    }
    if made_something {
        // Too many old results only cost room; the next build tries again.
        drop(store.forget_steps(KEPT));
        drop(store.forget_mounts(KEPT_IN_FOLDERS));
        drop(store.forget_indexes(KEPT_INDEXES));
    }
    Ok(images)
}

/// Every build once for each of its platforms, and the places of the first of each.
fn for_each_platform(specs: &[BuildSpec]) -> (Vec<BuildSpec>, Vec<usize>) {
    let (mut all, mut firsts) = (vec![], vec![]);
    for spec in specs {
        firsts.push(all.len());
        all.extend(spec.for_each_platform());
    }
    (all, firsts)
}

/// Writes the results of a build that went well where it was told to keep them; of one for several platforms
/// all together. `firsts` are the places in `specs` where another build begins.
fn export(
    store: &Store,
    specs: &[BuildSpec],
    firsts: &[usize],
    graph: &Graph,
    board: &Board,
    machine: &dyn Machine,
) -> Result<(), BuildError> {
    let ends = firsts.iter().skip(1).copied().chain([specs.len()]);
    for targets in firsts.iter().zip(ends).map(|(begin, end)| *begin..end) {
        let spec = &specs[targets.start];
        for BuildCache { target: to, all } in &spec.cache_to {
            if board.has_failed() {
                continue;
            }
            let steps = board.steps_of(|node| match all {
                true => targets.contains(&node.target),
                false => targets.clone().any(|target| graph.is_made_of(target, node)),
            });
            let (place, written) = match to {
                CacheTarget::Folder(folder) => {
                    let written = cache::write(store, folder, &steps).map_err(|error| error.to_string());
                    (folder.display().to_string(), written)
                }
                CacheTarget::Registry(reference) => {
                    (reference.familiar(), cache::registry::push(machine, reference, &steps))
                }
                // It goes into the image.
                CacheTarget::Inline => continue,
            };
            written.map_err(|why| {
                let message = format!("cannot write the cache of `{}` to {place}: {why}", spec.name);
                BuildError::general("unusable-cache", message)
            })?;
        }
    }
    Ok(())
}

/// Whether an image is to have the results of its steps itself.
fn is_inline(spec: &BuildSpec) -> bool {
    let argument = spec.args.get("BUILDKIT_INLINE_CACHE").and_then(|text| dockerfile::truth(text));
    argument == Some(true) || spec.cache_to.iter().any(|cache| cache.target == CacheTarget::Inline)
}

/// Makes the image of a stage's end, unless it is there already.
fn finish(
    store: &Store,
    spec: &BuildSpec,
    target: &Target,
    state: &State,
    inline: Option<&serde_json::Value>,
) -> Result<Image, store::StoreError> {
    let mut config = state.config.clone();
    config.labels.extend(spec.labels.clone());
    let created = match target.epoch {
        Some(epoch) => epoch,
        None => created(store, state, &config.labels)?,
    };
    let Some((first, others)) = spec.references.split_first() else {
        return Ok(Image::empty());
    };
    let platform = (target.platform != resource::Platform::host()).then_some(&target.platform);
    let layers = state.all_layers();
    let is_it = |image: &Image| {
        let is_same = image.layers == layers && image.config == config && image.created == Some(created);
        is_same && inline.is_none_or(|inline| has_inline(store, image, inline))
    };
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
                cache: inline,
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

/// Whether an image's configuration has these results of its steps.
fn has_inline(store: &Store, image: &Image, inline: &serde_json::Value) -> bool {
    let config = store.blob(&image.id);
    let config: Option<serde_json::Value> = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    config.is_some_and(|config| config.get(BUILD_CACHE) == Some(inline))
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
