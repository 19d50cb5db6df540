//! HTTP/1.1 connections: opened, kept for the next request, and spoken to securely or not.
//!
//! hyper's client side alone, rather than reqwest or oci-client on top of it: redirects, credentials,
//! the bound on every body and the moment TLS is set up are decisions of this crate, one place each.
//! (oci-client can fetch ranges too, but reads manifests without a bound and leaves redirects to reqwest.)

use crate::body::Body;
use crate::pace::{Patience, slow};
use crate::proxy::{self, Proxy};
use crate::tls::{self, Tls, Trust};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time to connect to one address of a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is spoken to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Certificates are not checked.
    pub(crate) insecure: bool,
}

/// Connections and what is needed to make more.
#[derive(Debug, Default)]
pub(crate) struct Http {
    idle: Mutex<HashMap<Origin, Vec<SendRequest<Body>>>>,
    pub(crate) tls: Tls,
    pub(crate) patience: Patience,
}

impl Origin {
    /// The origin of an absolute `http` or `https` address.
    pub(crate) fn of(uri: &Uri, insecure: bool) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        Some(Self { secure, host, port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), insecure })
    }

    /// From a registry's name with or without a port.
    pub(crate) fn named(name: &str, secure: bool, insecure: bool) -> Option<Self> {
        let scheme = if secure { "https" } else { "http" };
        Self::of(&format!("{scheme}://{name}/").parse().ok()?, insecure)
    }

    /// `host:port`, for messages and `certs.d`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// `scheme://host[:port]`
    pub(crate) fn url(&self) -> String {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        if self.port == usual {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// The host without the brackets of an IPv6 address.
    fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Http {
    /// Sends a request and waits for the head of the answer. A kept connection that turns out to be
    /// closed is replaced by a fresh one.
    pub(crate) async fn send(
        &self,
        origin: &Origin,
        mut request: Request<Body>,
    ) -> io::Result<Response<Incoming>> {
        let proxy = proxy::of_environment(origin);
        let url = origin.url();
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(io::Error::other)?);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("compose/0.1"));
        if let Some(proxy) = proxy.as_ref().filter(|_| !origin.secure) {
            let whole = format!("{url}{}", request.uri()).parse::<Uri>().map_err(io::Error::other)?;
            *request.uri_mut() = whole;
            if let Some(authorization) = &proxy.authorization {
                let value = HeaderValue::from_str(authorization).map_err(io::Error::other)?;
                request.headers_mut().insert(PROXY_AUTHORIZATION, value);
            }
        }
        let (head, body) = request.into_parts();
        if let (Some(body), Some(sender)) = (body.again(), self.kept(origin)) {
            match self.exchange(origin, sender, Request::from_parts(head.clone(), body)).await {
                Err(error) if error.kind() != io::ErrorKind::TimedOut => {}
                other => return other,
            }
        }
        let request = Request::from_parts(head, body);
        let sender = self.connect(origin, proxy.as_ref()).await?;
        self.exchange(origin, sender, request).await
    }

    async fn exchange(
        &self,
        origin: &Origin,
        mut sender: SendRequest<Body>,
        request: Request<Body>,
    ) -> io::Result<Response<Incoming>> {
        let sent = request.body().progress();
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let mut before = 0;
        // What is being sent may take its time while it goes on.
        let answer = loop {
            match tokio::time::timeout(self.patience.idle, &mut answer).await {
                Ok(answer) => break answer.map_err(io::Error::other)?,
                Err(_) => match sent.load(Ordering::Relaxed) {
                    now if now > before => before = now,
                    _ => return Err(slow("no answer came", self.patience.idle)),
                },
            }
        };
        // Ready again once the body has been read; until then nobody takes it.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(origin.clone()).or_default().push(sender);
        Ok(answer)
    }

    fn kept(&self, origin: &Origin) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(origin)?;
        senders.retain(|sender| !sender.is_closed());
        let ready = senders.iter().position(SendRequest::is_ready)?;
        Some(senders.swap_remove(ready))
    }

    async fn connect(&self, origin: &Origin, proxy: Option<&Proxy>) -> io::Result<SendRequest<Body>> {
        let stream = match proxy {
            None => dial(origin.name(), origin.port).await?,
            Some(proxy) => {
                let mut stream = dial(&proxy.host, proxy.port).await?;
                if origin.secure {
                    proxy::tunnel(&mut stream, proxy, &origin.address()).await?;
                }
                stream
            }
        };
        if !origin.secure {
            return talk(TokioIo::new(stream)).await;
        }
        talk(TokioIo::new(self.secure(origin, stream).await?)).await
    }

    async fn secure(
        &self,
        origin: &Origin,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let trust = Trust { host: origin.host.clone(), port: origin.port, checked: !origin.insecure };
        let connector = TlsConnector::from(self.tls.config(&trust)?);
        let name = ServerName::try_from(origin.name().to_owned()).map_err(io::Error::other)?;
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await;
        connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(tls::told)
    }

    /// Whether an insecure registry speaks TLS: tries, since its configuration does not say.
    ///
    /// # Errors
    /// When it cannot be connected to at all.
    pub(crate) async fn speaks_tls(&self, origin: &Origin) -> io::Result<bool> {
        let stream = match proxy::of_environment(origin) {
            None => dial(origin.name(), origin.port).await?,
            Some(_) => return Ok(true),
        };
        Ok(self.secure(origin, stream).await.is_ok())
    }
}

/// Connects to the first address of the host that answers.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in tokio::net::lookup_host((host, port)).await? {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Starts HTTP on a connection; a task of its own keeps it going until it is closed.
async fn talk<S>(stream: TokioIo<S>) -> io::Result<SendRequest<Body>>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Whoever waits for an answer or a body is told the error too.
        let _ = connection.await;
    });
    Ok(sender)
}
