//! What a build needs of the engine: base images, files of web servers, and containers for `RUN`.

use resource::{
    BuildNetwork, Digest, Image, ImageNeed, MountSpec, OciLayout, Platform, ProcessSpec, Reference, Rlimit,
};
use std::io::{BufRead, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use store::Pin;

/// Why the engine could not do something.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The engine, as a build sees it. Its functions block; they are called from several threads.
pub trait Machine: Sync {
    /// Gets an image from its registry, whatever is here. `tell` is told in lines how it goes.
    ///
    /// # Errors
    /// What the engine says.
    fn pull(&self, need: &ImageNeed, tell: &(dyn Fn(String) + Sync)) -> Result<(), Cause>;

    /// Unpacks an image that is in files, for a platform. It gets no name: the pin is what keeps it.
    ///
    /// # Errors
    /// What the engine says.
    fn take_in(&self, layout: &OciLayout, platform: &Platform) -> Result<(Image, Pin), Cause>;

    /// What a person can do about an error of this machine's, where that is known.
    fn remedy(&self, error: &(dyn std::error::Error + 'static)) -> Option<String>;

    /// Runs a process to its end in a container of these layers. `output` is given what it writes.
    ///
    /// # Errors
    /// What the engine says of a process that could not be started, [`GivenUp`]; a process that fails is no error.
    fn run(&self, job: &Job, output: &mut dyn FnMut(&[u8])) -> Result<Ran, Cause>;

    /// Writes the file at an `http` or `https` address to `output` and returns its version; `None` when
    /// it is still the known one. `authorization` is told to the host of the address and to no other.
    ///
    /// # Errors
    /// What the engine or the server says, [`GivenUp`]; part of the file may have been written then.
    fn fetch(
        &self,
        address: &str,
        known: Option<&Version>,
        authorization: Option<&str>,
        output: &mut dyn Write,
    ) -> Result<Option<Version>, Cause>;

    /// What a registry has under a reference, without its layers; `None` when there is no such image.
    ///
    /// # Errors
    /// What the engine or the registry says.
    fn look_at(&self, reference: &Reference) -> Result<Option<Remote>, Cause>;

    /// Begins to read a blob of a repository, by its digest and bytes. A failure later on is the reader's.
    ///
    /// # Errors
    /// What the engine or the registry says.
    fn read_blob(
        &self,
        reference: &Reference,
        blob: &(Digest, u64),
    ) -> Result<Box<dyn BufRead + Send>, Cause>;

    /// Gives a registry an image of this configuration and these layers, by diff id and bytes of the archive.
    ///
    /// # Errors
    /// What the engine or the registry says.
    fn push(&self, reference: &Reference, config: Vec<u8>, layers: &[(Digest, u64)]) -> Result<(), Cause>;

    /// Ends every process that runs for this build, and starts no other. Called when the build fails.
    fn give_up(&self);
}

/// An image in a registry.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its configuration, as it came.
    pub config: Vec<u8>,
    /// Digest and bytes of the blob of each layer, lowest first.
    pub layers: Vec<(Digest, u64)>,
}

/// What a server says of a file, to ask it later whether the file has changed. Empty is unsaid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `ETag`.
    pub tag: String,
    /// `Last-Modified`.
    pub modified: String,
}

/// A process to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The layers below it, lowest first.
    pub layers: Vec<Digest>,
    /// What runs; all of it, there is no image to take anything from.
    pub process: ProcessSpec,
    /// Text of `/etc/passwd` of those layers.
    pub passwd: String,
    /// Text of `/etc/group` of those layers.
    pub group: String,
    /// What is mounted besides /proc and its like.
    pub mounts: Vec<MountSpec>,
    /// Places of mounts, absolute and without `..`, and whether each is a file: they show only while
    /// something is mounted there.
    pub places: Vec<(String, bool)>,
    /// How it is connected.
    pub network: BuildNetwork,
    /// With all privileges.
    pub insecure: bool,
    /// Devices by their CDI names, classes or patterns, and whether the process needs them.
    pub devices: Vec<(String, bool)>,
    /// Its host name.
    pub hostname: String,
    /// Lines for /etc/hosts.
    pub extra_hosts: Vec<(String, Option<IpAddr>)>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    /// Limits of the process.
    pub rlimits: Vec<Rlimit>,
}

/// A process that has ended.
#[derive(Clone, Debug)]
pub enum Ran {
    /// With exit code 0: what it changed, an overlay's upper folder. It is the caller's now.
    Well(PathBuf),
    /// With another one; 128 and the number for a signal.
    Badly(i32),
}

/// The build was over before this was done: something else has failed, or nobody waits for it any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the build was given up")]
pub struct GivenUp;
