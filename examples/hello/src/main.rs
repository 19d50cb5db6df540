//! The program in the image of `examples/hello`: a visit counter that keeps its number in a file, a
//! web page that asks it, and the probe that tells whether a port answers. Linked statically, it is
//! the only file of its image.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["web", counter] => web(counter),
        ["counter", file] => counter(Path::new(file)),
        ["probe", address] => TcpStream::connect(address).map(drop),
        _ => Err(io::Error::other("usage: hello web COUNTER | counter FILE | probe ADDRESS")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers every connection with the number of visits so far, this one included.
fn counter(file: &Path) -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:7000")?;
    println!("counting in {}", file.display());
    for stream in listener.incoming() {
        let mut stream = stream?;
        // A probe only connects.
        if !matches!(stream.read(&mut [0]), Ok(1)) {
            continue;
        }
        let before: u64 = match std::fs::read_to_string(file) {
            Ok(text) => text.trim().parse().map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, (before + 1).to_string())?;
        std::fs::rename(&fresh, file)?;
        writeln!(stream, "{}", before + 1)?;
        println!("visit {}", before + 1);
    }
    Ok(())
}

/// Serves a page with the number of visits on port 80, each connection on its own: browsers open some
/// that they ask nothing on.
fn web(counter: &str) -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80")?;
    println!("serving; the counter is {counter}");
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let stream = stream?;
            scope.spawn(move || {
                if let Err(error) = page(stream, counter) {
                    eprintln!("hello: {error}");
                }
            });
        }
        Ok(())
    })
}

/// Answers one request.
fn page(mut stream: TcpStream, counter: &str) -> io::Result<()> {
    let mut request = String::new();
    if BufReader::new(&stream).read_line(&mut request)? == 0 {
        return Ok(()); // a probe only connects
    }
    let (status, body) = match visit(counter) {
        Ok(visits) => ("200 OK", format!("Hello from compose! Visits: {visits}\n")),
        Err(error) => ("503 Service Unavailable", format!("the counter does not answer: {error}\n")),
    };
    println!("{} -> {status}", request.trim());
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn visit(counter: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(counter)?;
    stream.write_all(b"+")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}
