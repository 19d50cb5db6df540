//! The engine used without Compose: one container in a pod, from an image to nothing left.
//!
//! ```text
//! engine-alone ROOT IMAGE
//! ```
//! `ROOT` is a folder for the engine's own store. `IMAGE` is a tar archive of a root file system that
//! has a shell, a folder with one, or else a reference such as `busybox:1.37`, which is pulled. As root:
//!
//! ```text
//! cargo run -p engine-alone -- /tmp/alone docker.io/library/busybox:latest
//! ```
//! It imports or pulls the image, makes a pod and a container in it, starts it, shows the first line it
//! writes, runs a second process in it, stops and removes it. `ROOT/lib` keeps the image for next time.

use engine::{Engine, EngineError, ExecRequest, LogQuery, Stdio};
use resource::{
    ContainerSpec, Image, ImageConfig, ImageNeed, Labels, PodName, ProcessSpec, PullPolicy, Reference, Roots,
};
use std::error::Error;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    // The supervisor is this same program, started again.
    if let Some(code) = engine::hidden_role() {
        return code;
    }
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(image), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: engine-alone ROOT IMAGE");
        return ExitCode::from(2);
    };
    match begin(Path::new(&root), &image) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("engine-alone: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn begin(root: &Path, image: &str) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(root)?;
    let engine = Engine::open(Roots::below(&root.canonicalize()?))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let image = obtain(&engine, image).await?;
        println!("image {} has {} layers", image.reference.familiar(), image.layers.len());
        run(&engine, &image).await
    })
}

/// The image out of an archive or folder, from the store, or from a registry.
async fn obtain(engine: &Engine, image: &str) -> Result<Image, Box<dyn Error>> {
    if Path::new(image).exists() {
        let reference = Reference::parse("localhost/engine-alone")?;
        let config = ImageConfig { command: vec!["/bin/sh".to_owned()], ..ImageConfig::default() };
        return Ok(engine.import(&reference, Path::new(image), &config)?);
    }
    let reference = Reference::parse(image)?;
    if let Some(image) = engine.store().image(&reference, None) {
        return Ok(image);
    }
    let need = ImageNeed {
        reference,
        platform: None,
        policy: PullPolicy::Missing,
        buildable: false,
        resolved: None,
        place: "the command line".to_owned(),
    };
    Ok(engine.pull(&need, &|event| println!("pull: {event:?}")).await?)
}

async fn run(engine: &Engine, image: &Image) -> Result<(), Box<dyn Error>> {
    let pod = PodName::from("alone");
    let _lock = engine.lock(&pod, || println!("another engine-alone is at work; waiting")).await?;
    engine.create_pod(&pod, &Labels::new())?;
    let spec = container(&pod, image);
    let id = engine.create_container(&spec, None)?;
    println!("container {} is made", id.short());
    let worked = work(engine, &pod, &id).await;
    // Whatever went wrong, nothing stays.
    engine.stop(&pod, &id, Some(Duration::from_secs(1))).await?;
    engine.remove_container(&pod, &id, true).await?;
    engine.remove_pod(&pod).await?;
    worked?;
    println!("stopped and removed");
    Ok(())
}

async fn work(engine: &Engine, pod: &PodName, id: &resource::ContainerId) -> Result<(), EngineError> {
    let state = engine.start(pod, id).await?;
    println!("it is {} as process {:?}", state.status.as_str(), state.process.map(|process| process.pid));
    let mut lines = engine.logs(pod, &[], LogQuery { follow: true, ..LogQuery::default() })?;
    if let Some(line) = lines.next().await? {
        print!("it says: {}", line.text);
    }
    let request = ExecRequest { argv: words("/bin/sh -c hostname; exit 3"), ..ExecRequest::default() };
    let mut second = engine.exec(pod, id, request, own_streams()).await?;
    let code = second.wait().await;
    println!("the second process ended with {code:?}");
    Ok(())
}

/// Our own standard streams; the process gets them themselves, nothing is relayed.
fn own_streams() -> Stdio {
    let copy = |file: std::io::Result<std::os::fd::OwnedFd>| file.ok();
    let streams = (
        copy(std::io::stdin().as_fd().try_clone_to_owned()),
        copy(std::io::stdout().as_fd().try_clone_to_owned()),
        copy(std::io::stderr().as_fd().try_clone_to_owned()),
    );
    match streams {
        (Some(stdin), Some(stdout), Some(stderr)) => Stdio::Files { stdin, stdout, stderr },
        _ => Stdio::Null,
    }
}

fn words(text: &str) -> Vec<String> {
    text.splitn(3, ' ').map(str::to_owned).collect()
}

fn container(pod: &PodName, image: &Image) -> ContainerSpec {
    let command = words("/bin/sh -c echo hello from process $$; exec sleep 1000");
    ContainerSpec {
        process: ProcessSpec { entrypoint: Some(command), init: true, ..ProcessSpec::default() },
        ..ContainerSpec::new("alone-hello-1", pod, "hello", image.reference.clone())
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
