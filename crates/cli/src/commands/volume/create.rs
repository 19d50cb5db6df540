//! `compose volume create`: makes a volume that belongs to no project. What its flags say is read as a file's
//! volume is, by the same checks.

use crate::exit::{Exit, Failure};
use crate::given::Given;
use crate::output;
use crate::session::Session;
use compose_spec::model::Volume;
use resource::{VolumeRecord, VolumeSpec};

/// Flags of `volume create`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only `local`
    #[arg(short, long, default_value = "local", hide_default_value = true)]
    driver: String,
    /// Take the volume that is there already, though it is another
    #[arg(long)]
    ignore: bool,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// An option of the driver, as under `driver_opts`: `type`, `o`, `device`
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Its name; without one, 64 random hexadecimal digits
    name: Option<String>,
}

/// Makes the volume and prints its name.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let mut given = Given::default();
    let spec = read(args, &mut given);
    given.finish(session)?;
    let name = &spec.name;
    if args.name.is_some()
        && let Some(there) = session.viewer()?.volume(name)
    {
        taken(args, &spec, &there)?;
        output::line(name.as_str())?;
        return Ok(Exit::Success);
    }
    if session.globals.dry_run {
        let shown = args.name.as_deref().unwrap_or("with a name of its own");
        output::planned(&format!("make volume {shown}"));
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    let made = match args.name {
        Some(_) => engine.create_volume(&spec),
        None => engine.create_anonymous_volume(&spec),
    };
    let made = made.map_err(|error| Failure::because(format!("cannot make volume `{name}`"), error))?;
    // Somebody else may have made it meanwhile.
    taken(args, &spec, &made)?;
    output::line(made.spec.name.as_str())?;
    Ok(Exit::Success)
}

/// Whether the volume that is there is the one that is wanted.
fn taken(args: &Args, wanted: &VolumeSpec, there: &VolumeRecord) -> Result<(), Failure> {
    let differs = |one: &VolumeSpec| one.driver != wanted.driver || one.options != wanted.options;
    if !args.ignore && differs(&there.spec) {
        let name = &wanted.name;
        return Err(Failure::new(format!("volume `{name}` already exists, with other options")).hint(
            format!("see `compose volume inspect {name}`; choose another name, or say --ignore to take it"),
        ));
    }
    Ok(())
}

/// The volume that the flags describe, and what is wrong with it.
fn read(args: &Args, given: &mut Given) -> VolumeSpec {
    let name = args.name.clone().unwrap_or_default();
    let span = given.word("NAME", "name", &name);
    if let Err(error) = engine::check_name(&name)
        && args.name.is_some()
    {
        given.wrong(span, error.to_string());
    }
    given.word("--driver", "driver", &args.driver);
    let volume = Volume {
        name: name.clone(),
        driver: Some(args.driver.clone()),
        driver_opts: given.pairs("--opt", "driver_opts", &args.opt),
        external: false,
        labels: given.labels(&args.label),
        span: None,
    };
    let (spec, found) = lower::volume_alone(&name, &volume, &|path| given.place(path));
    given.tell(found);
    spec
}
