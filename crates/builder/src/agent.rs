//! The ssh agent as a step sees it: a socket in the agent's place, with the owner and mode that the step asks for,
//! whose connections are handed through to the agent. It is there for one step.
//!
//! The agent's own socket belongs to who runs the build: a step that runs as somebody else could not use it.
//! Where a build is given the file of a key, there is no agent: this answers itself, and has that key. It tells
//! which one it is and signs with it, and nothing else.

mod key;
mod wire;

use dockerfile::Ownership;
pub(crate) use key::{Key, KeyError};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use wire::{Reader, put};

/// The name of the socket in the folder that it was given.
pub(crate) const SOCKET: &str = "agent";

/// Bytes that a question to an agent may have, as with OpenSSH's.
const QUESTION_LIMIT: u32 = 256 << 10;

/// What is asked of an agent, and answered. draft-miller-ssh-agent, 6.1.
const FAILURE: u8 = 5;
const WHICH_KEYS: u8 = 11;
const THESE_KEYS: u8 = 12;
const SIGN: u8 = 13;
const SIGNED: u8 = 14;

/// Who answers a step.
#[derive(Clone, Debug)]
pub(crate) enum Agent {
    /// The agent that listens here.
    Socket(PathBuf),
    /// This program, which has this key.
    Key(Arc<Key>),
}

impl Agent {
    /// What a build was given: an agent's socket, or the file of a key. `None` where there is nothing.
    ///
    /// # Errors
    /// Why the file is no key that can be used.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>, KeyError> {
        match path.metadata() {
            Ok(data) if data.file_type().is_socket() => Ok(Some(Self::Socket(path.to_owned()))),
            Ok(_) => Ok(Some(Self::Key(Arc::new(Key::read(path)?)))),
            Err(_) => Ok(None),
        }
    }

    /// Goes on with who has connected. One that finds no agent sees its connection closed.
    fn serve(&self, client: UnixStream) -> io::Result<()> {
        match self {
            Self::Socket(path) => join(client, UnixStream::connect(path)?),
            Self::Key(key) => {
                let key = key.clone();
                let serve = move || drop(answer(client, &key));
                thread::Builder::new().name("ssh-agent".to_owned()).spawn(serve).map(drop)
            }
        }
    }
}

/// A socket that stands for an agent's. Dropping it lets nobody in any more; who is in may finish.
pub(crate) struct StandIn {
    /// The accepting thread ends when this is closed.
    _open: UnixStream,
}

impl StandIn {
    /// Listens in a folder for the agent at this path.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub(crate) fn listen(folder: &Path, agent: Agent, owner: Ownership) -> io::Result<Self> {
        let opened = sys::file::open_folder(folder)?;
        // Addresses of sockets are short, the folder's path may be long.
        let place = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd()));
        let listener = UnixListener::bind(&place)?;
        std::os::unix::fs::chown(&place, Some(owner.uid), Some(owner.gid))?;
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(owner.mode))?;
        let (open, ended) = UnixStream::pair()?;
        thread::Builder::new()
            .name("ssh-agent".to_owned())
            .spawn(move || accept(&listener, &ended, &agent))?;
        Ok(Self { _open: open })
    }
}

/// Lets everybody in until the other end of `ended` is closed.
fn accept(listener: &UnixListener, ended: &UnixStream, agent: &Agent) {
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) if !ready[1].revents().is_empty() => return,
            Ok(_) => {}
        }
        // One may have given up while it waited.
        let Ok((client, _)) = listener.accept() else { continue };
        let _ = agent.serve(client);
    }
}

/// Answers question after question until the connection is closed, or makes no sense.
fn answer(mut client: UnixStream, key: &Key) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > QUESTION_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut question = vec![];
        (&client).take(length.into()).read_to_end(&mut question)?;
        let mut told = vec![];
        put(&mut told, &reply(&question, key).unwrap_or_else(|| vec![FAILURE]));
        client.write_all(&told)?;
    }
}

/// The answer to a question; `None` is a refusal.
fn reply(question: &[u8], key: &Key) -> Option<Vec<u8>> {
    let (kind, rest) = question.split_first()?;
    let mut asked = Reader::new(rest);
    match *kind {
        WHICH_KEYS => {
            let mut told = vec![THESE_KEYS, 0, 0, 0, 1];
            put(&mut told, key.public());
            put(&mut told, key.comment().as_bytes());
            Some(told)
        }
        SIGN => {
            let (public, data) = (asked.string()?, asked.string()?);
            let flags = asked.number()?;
            let signature = (public == key.public()).then(|| key.sign(data, flags))??;
            let mut told = vec![SIGNED];
            put(&mut told, &signature);
            Some(told)
        }
        _ => None,
    }
}

/// Hands through what two connections say, both ways, on threads of their own.
fn join(client: UnixStream, agent: UnixStream) -> io::Result<()> {
    let (from_client, from_agent) = (client.try_clone()?, agent.try_clone()?);
    let spawn = |mut from: UnixStream, mut to: UnixStream| {
        thread::Builder::new().name("ssh-agent".to_owned()).spawn(move || {
            // Either end may be gone; the other one is told that nothing more comes.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    spawn(from_client, agent)?;
    spawn(from_agent, client)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn connections_are_handed_through_while_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("real");
        let real = UnixListener::bind(&path).unwrap();
        let answering = thread::spawn(move || {
            for _ in 0..2 {
                let (mut client, _) = real.accept().unwrap();
                let mut asked = String::new();
                client.read_to_string(&mut asked).unwrap();
                client.write_all(format!("{asked} answered").as_bytes()).unwrap();
            }
        });
        let own = folder.path().metadata().unwrap();
        let owner = Ownership { uid: own.uid(), gid: own.gid(), mode: 0o640 };
        let stand_in = StandIn::listen(folder.path(), Agent::Socket(path), owner).unwrap();
        let socket = folder.path().join(SOCKET);
        assert_eq!(socket.metadata().unwrap().mode() & 0o7777, 0o640);
        // Side by side: the second is answered once the first has hung up.
        let mut clients = [UnixStream::connect(&socket).unwrap(), UnixStream::connect(&socket).unwrap()];
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(number.to_string().as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, format!("{number} answered"));
        }
        answering.join().unwrap();
        // Nobody is there for the next one.
        let mut late = UnixStream::connect(&socket).unwrap();
        assert_eq!(late.read(&mut [0]).unwrap(), 0);
        drop(stand_in);
    }
}
