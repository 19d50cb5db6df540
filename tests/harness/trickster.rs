//! A registry on loopback that answers as a scenario says, word for word: what no honest one would.

use crate::images::Image;
use crate::registry::honest;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// With what is behind the `?`.
    pub path: String,
    /// The first byte that is wanted, when that is not the first of all.
    pub from: Option<usize>,
    /// `Authorization`; empty when there was none.
    pub authorization: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `200 OK`
    pub status: &'static str,
    /// Besides the length.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// What `Content-Length` says; `None` leaves it out.
    pub length: Option<u64>,
    /// What follows the body.
    pub end: End,
}

/// What follows a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection is closed.
    Close,
    /// It is reset.
    Reset,
    /// Zeros, until nobody listens.
    Never,
    /// Nothing, on a connection that stays open.
    Stays,
}

impl Reply {
    /// An empty answer.
    pub fn status(status: &'static str) -> Self {
        Self::of(status, vec![])
    }

    /// An answer of these bytes, with their true length.
    pub fn of(status: &'static str, body: Vec<u8>) -> Self {
        let length = Some(body.len() as u64);
        Self { status, headers: vec![], body, length, end: End::Close }
    }

    /// What a registry that has this image alone would answer.
    pub fn honest(question: &Question, image: &Image) -> Self {
        let (status, kind, body) = honest(&question.path, image);
        let mut reply = Self::of(status, body.to_vec()).with("Content-Type", kind);
        if let Some(from) = question.from.filter(|from| *from < body.len()) {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            reply = Self::of("206 Partial Content", body[from..].to_vec()).with("Content-Range", &range);
        }
        reply
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Only so many bytes of it are sent, whatever it says.
    #[must_use]
    pub fn cut(mut self, after: usize, end: End) -> Self {
        self.body.truncate(after);
        Self { end, ..self }
    }
}

/// A registry that answers as it is told to, until the process ends.
#[derive(Debug)]
pub struct Trickster {
    port: u16,
    address: Ipv4Addr,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Trickster {
    /// One that has an answer to each question, on an address of loopback. Questions are answered one after
    /// the other.
    pub fn start(address: [u8; 4], answer: impl Fn(&Question) -> Reply + Send + 'static) -> Self {
        let address = Ipv4Addr::from(address);
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Question>>>::default();
        let told = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The first words of TLS are no text: on loopback the client then asks without.
                if let Some(question) = read(&stream) {
                    let reply = answer(&question);
                    told.lock().unwrap().push(question);
                    // A client that has seen enough may be gone.
                    drop(send(stream, &reply));
                }
            }
        });
        Self { port, address, asked }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// What was asked since this was asked last.
    pub fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn read(stream: &TcpStream) -> Option<Question> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let path = request.split(' ').nth(1)?.to_owned();
    let mut question = Question { path, from: None, authorization: String::new() };
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        match line.trim().split_once(": ") {
            Some((name, range)) if name.eq_ignore_ascii_case("range") => {
                question.from = range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.clone_into(&mut question.authorization);
            }
            _ => {}
        }
        line.clear();
    }
    Some(question)
}

fn send(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", reply.status);
    if let Some(length) = reply.length {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body)?;
    match reply.end {
        End::Close => Ok(()),
        // What is closed without waiting is reset.
        End::Reset => {
            let at_once = Some(std::time::Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once)?;
            Ok(())
        }
        End::Stays => {
            // Open as long as the test program is there.
            std::mem::forget(stream);
            Ok(())
        }
        End::Never => loop {
            stream.write_all(&[0; 1 << 16])?;
        },
    }
}
