//! `compose lock`: writes the digests of all images into `compose.lock`, for `--frozen`.
//!
//! Images of every profile are locked, and those that builds stand on. What the lock has already stays
//! until `--update` asks for it anew.

use crate::exit::{Exit, Failure};
use crate::lock::wants::{self, Want};
use crate::lock::{self, LockFile, hold};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::{building, wanted};
use diagnostic::{Diagnostic, Sources};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use resource::{Digest, Platform, Reference};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Registries asked at a time.
const WIDTH: usize = 8;

/// Flags of `lock`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail unless the lock has every image that is wanted, and no other
    #[arg(long)]
    pub(crate) check: bool,
    /// Ask for the images of these services anew, of all without a name
    #[arg(long, value_name = "SERVICE", num_args = 0.., conflicts_with = "check")]
    pub(crate) update: Option<Vec<String>>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true,
        value_parser = ["text", "json"])]
    pub(crate) format: String,
}

type Images = BTreeMap<Reference, Vec<(Platform, Digest)>>;

/// Locks images.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let loaded = session.load_whole()?;
    let project = &loaded.0;
    let old = LockFile::read(session, project)?;
    let mut desired = wanted::of_project(session, &loaded, &lower::Selection::all())?;
    building::complete(session, &mut desired);
    let wants = wants::of(&loaded, &desired)?;
    if args.check {
        return check(session, old.as_ref(), &wants);
    }
    let renewed = renewed(args, project, &wants)?;
    let kept = kept(old.as_ref(), &wants, &renewed);
    let mut images = kept.clone();
    let missing: Vec<&Want> = {
        let mut asked = BTreeSet::new();
        let is_new = |want: &&Want| !kept.contains_key(&want.reference);
        wants.iter().filter(is_new).filter(|want| asked.insert(&want.reference)).collect()
    };
    if !missing.is_empty() {
        let asked = ask(session, &missing)?;
        complete(&asked, &wants)?;
        images.extend(asked);
    }
    let before = old.as_ref().map(|old| old.locked().0);
    let change = Change { before: before.unwrap_or_default(), after: images, is_new: old.is_none() };
    if change.is_any() && !session.globals.dry_run {
        let given = session.is_renamed()?;
        let name = old.as_ref().filter(|_| given).map_or(&project.name, |old| &old.lock.project);
        lock::write(project, name, &change.after)?;
    }
    let dry_run = session.globals.dry_run;
    output::result(&if args.format == "json" { change.json() } else { change.text(dry_run) })?;
    Ok(Exit::Success)
}

/// The services whose images are asked for anew have these images.
fn renewed(
    args: &Args,
    project: &compose_spec::Project,
    wants: &[Want],
) -> Result<BTreeSet<Reference>, Failure> {
    let Some(services) = &args.update else { return Ok(BTreeSet::new()) };
    if let Some(name) = services.iter().find(|name| !project.services.contains_key(*name)) {
        return Err(crate::select::unknown(name, project.services.keys().map(String::as_str)));
    }
    let is_meant =
        |want: &&Want| services.is_empty() || want.services.iter().any(|service| services.contains(service));
    Ok(wants.iter().filter(is_meant).map(|want| want.reference.clone()).collect())
}

/// What stays as it is: wanted, not asked for anew, and there for every platform that is wanted.
fn kept(old: Option<&LockFile>, wants: &[Want], renewed: &BTreeSet<Reference>) -> Images {
    let Some(old) = old else { return Images::new() };
    let mut locked = old.locked();
    for want in wants {
        if locked.digest(&want.reference, &want.platform).is_none() {
            locked.0.remove(&want.reference);
        }
    }
    let is_wanted = |reference: &Reference| wants.iter().any(|want| want.reference == *reference);
    locked.0.retain(|reference, _| is_wanted(reference) && !renewed.contains(reference));
    locked.0
}

/// Asks the registries.
fn ask(session: &Session, missing: &[&Want]) -> Result<Images, Failure> {
    let engine = session.engine()?;
    let mut images = Images::new();
    runtime::interruptible(Size::One, async {
        let asked = missing.iter().map(|want| async {
            let what = || format!("{}: cannot lock the image `{}`", want.who(), want.reference.familiar());
            let platforms = engine.platforms(&want.reference).await;
            platforms
                .map(|platforms| (want.reference.clone(), platforms))
                .map_err(|error| Failure::because(what(), error))
        });
        images = stream::iter(asked).buffer_unordered(WIDTH).try_collect().await?;
        Ok(Exit::Success)
    })
    .and_then(|exit| match exit {
        Exit::Success => Ok(images),
        interrupted => Err(Failure::Silent(interrupted.code())),
    })
}

/// Refuses images that their registries do not have for the platforms that they are wanted for.
fn complete(asked: &Images, wants: &[Want]) -> Result<(), Failure> {
    let locked = resource::Locked(asked.clone());
    for want in wants.iter().filter(|want| asked.contains_key(&want.reference)) {
        if locked.digest(&want.reference, &want.platform).is_none() {
            let name = want.reference.familiar();
            let text = format!("{}: the registry has no `{name}` for {}", want.who(), want.platform);
            return Err(Failure::new(text).hint("say `platform:` of the service, or choose another image"));
        }
    }
    Ok(())
}

/// Says what the lock lacks and what it has for nothing.
fn check(session: &Session, old: Option<&LockFile>, wants: &[Want]) -> Result<Exit, Failure> {
    let Some(old) = old else {
        return Err(Failure::new(format!("there is no `{}`", lock::NAME)).hint("`compose lock` makes it"));
    };
    let mut told: Vec<(Sources, Diagnostic)> = hold::missing(old, wants).collect();
    let is_wanted = |reference: &Reference| wants.iter().any(|want| want.reference == *reference);
    for (reference, entry) in old.lock.images.iter().filter(|(reference, _)| !is_wanted(reference)) {
        let mut sources = Sources::new();
        let span = old.place(&mut sources, &entry.at);
        let message = format!("nothing in the project names `{}` any more", reference.familiar());
        let diagnostic =
            Diagnostic::error("stale-lock", message).at(span, "").help("`compose lock` removes it");
        told.push((sources, diagnostic));
    }
    if told.is_empty() {
        output::status(&format!("{} has every image that is wanted", lock::NAME))?;
        return Ok(Exit::Success);
    }
    let drawn: Vec<String> = told
        .iter()
        .map(|(sources, told)| diagnostic::render(sources, std::slice::from_ref(told), session.colour_errors))
        .collect();
    Err(Failure::Drawn(drawn.join("\n")))
}

/// What a run changes.
struct Change {
    before: Images,
    after: Images,
    is_new: bool,
}

impl Change {
    fn is_any(&self) -> bool {
        self.is_new || self.before != self.after
    }

    /// A word for what became of an image.
    fn word(&self, reference: &Reference) -> &'static str {
        match (self.before.get(reference), self.after.get(reference)) {
            (None, _) => "added",
            (Some(_), None) => "removed",
            (before, after) if before == after => "kept",
            _ => "updated",
        }
    }

    fn text(&self, dry_run: bool) -> String {
        let all: BTreeSet<&Reference> = self.before.keys().chain(self.after.keys()).collect();
        let changed = all.into_iter().filter(|reference| self.word(reference) != "kept");
        let mut text: String = changed
            .map(|reference| format!("{:7} {}\n", self.word(reference), reference.familiar()))
            .collect();
        let count = self.after.len();
        let images = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
        text.push_str(&match self.is_any() {
            true if dry_run => format!("DRY-RUN MODE - {} would hold {images}\n", lock::NAME),
            true => format!("{} holds {images}\n", lock::NAME),
            false => format!("{} is up to date: it holds {images}\n", lock::NAME),
        });
        text
    }

    fn json(&self) -> String {
        let platforms = |all: &[(Platform, Digest)]| -> BTreeMap<String, String> {
            all.iter().map(|(platform, digest)| (platform.to_string(), digest.to_string())).collect()
        };
        let image = |(reference, all): (&Reference, &Vec<(Platform, Digest)>)| json!({ "image": reference.to_string(), "state": self.word(reference), "platforms": platforms(all) });
        let gone = self.before.keys().filter(|reference| !self.after.contains_key(reference));
        let document = json!({
            "version": lock::text::VERSION,
            "changed": self.is_any(),
            "images": self.after.iter().map(image).collect::<Vec<_>>(),
            "removed": gone.map(ToString::to_string).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    }
}
