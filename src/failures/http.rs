//! One POST over a connection of its own, plain or encrypted. Failures are rare, so connections are not kept.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::future::{Either, select};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// An address to post to. Shown as host and port only.
pub(super) struct Target {
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// The host as it stands in the address, with the port where it is not the scheme's own.
    authority: String,
    path: String,
    encryption: Option<SslConnector>,
}

/// Why nothing can be posted to an address.
#[derive(Debug, Error)]
pub enum TargetError {
    /// It is no address.
    #[error("not a URL: {0}")]
    NotUrl(#[source] hyper::http::uri::InvalidUri),
    /// Only `http` and `https` are spoken.
    #[error("a callback URL begins with http:// or https://")]
    Scheme,
    /// A user name or password would be sent and shown in places where nobody expects it.
    #[error("a callback URL has no user name or password")]
    Login,
    /// The system's certificates cannot be read.
    #[error("certificates cannot be read: {0}")]
    Certificates(#[from] ErrorStack),
}

/// Why a request was not a success.
#[derive(Debug, Error)]
pub(super) enum PostError {
    #[error("not reachable: {0}")]
    Unreachable(#[source] std::io::Error),
    #[error("no encrypted connection: {0}")]
    Encryption(String),
    #[error("no answer: {0}")]
    NoAnswer(#[from] hyper::Error),
    #[error("no request can be made: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("answered {0}")]
    Refused(StatusCode),
}

impl PostError {
    /// Whether the same request may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Encryption(_) | Self::NoAnswer(_) | Self::TimedOut(_) => true,
            Self::Refused(status) => status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429),
            Self::Request(_) => false,
        }
    }
}

impl Target {
    pub(super) fn new(url: &str) -> Result<Self, TargetError> {
        let uri: Uri = url.parse().map_err(TargetError::NotUrl)?;
        let encryption = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(trusting_the_system()?),
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().ok_or(TargetError::Scheme)?.as_str().to_owned();
        if authority.contains('@') {
            return Err(TargetError::Login);
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if encryption.is_some() { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, authority, path, encryption })
    }

    /// Posts JSON and returns the status of the answer; the answer's body is nobody's business.
    pub(super) async fn post(&self, id: &str, json: String) -> Result<StatusCode, PostError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(PostError::Unreachable)?;
        let Some(encryption) = &self.encryption else { return self.exchange(stream, id, json).await };
        let unencrypted = |e: &dyn fmt::Display| PostError::Encryption(e.to_string());
        let tls = encryption.configure().and_then(|tls| tls.into_ssl(&self.host)).map_err(|e| unencrypted(&e))?;
        let mut stream = SslStream::new(tls, stream).map_err(|e| unencrypted(&e))?;
        Pin::new(&mut stream).connect().await.map_err(|e| unencrypted(&e))?;
        self.exchange(stream, id, json).await
    }

    async fn exchange<S>(&self, stream: S, id: &str, json: String) -> Result<StatusCode, PostError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", id)
            .body(json)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The connection moves only while it is polled, and may end in the moment in which the answer is there.
        let answer = match select(std::pin::pin!(sender.send_request(request)), std::pin::pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, answer)) => answer.await,
        };
        Ok(answer?.status())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// The library is built with the service, so it does not know where this system keeps its certificates.
fn trusting_the_system() -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    if let Some(file) = openssl_probe::probe().cert_file {
        builder.set_ca_file(file)?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::ssl::SslAcceptor;
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    use openssl::x509::{X509, X509Name};

    use super::*;

    /// A certificate for 127.0.0.1 that vouches for itself.
    fn certificate() -> (X509, PKey<Private>) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        let mut name = X509Name::builder().expect("a name");
        name.append_entry_by_text("CN", "test").expect("a name");
        let name = name.build();
        let mut builder = X509::builder().expect("a certificate");
        builder.set_version(2).expect("version");
        let serial = BigNum::from_u32(1).and_then(|one| one.to_asn1_integer()).expect("a number");
        builder.set_serial_number(&serial).expect("number");
        builder.set_subject_name(&name).expect("subject");
        builder.set_issuer_name(&name).expect("issuer");
        builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("beginning");
        builder.set_not_after(&Asn1Time::days_from_now(2).expect("a time")).expect("end");
        builder.set_pubkey(&key).expect("key");
        builder.append_extension(BasicConstraints::new().critical().ca().build().expect("extension")).expect("ca");
        let address = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None));
        builder.append_extension(address.expect("extension")).expect("address");
        builder.sign(&key, MessageDigest::sha256()).expect("signature");
        (builder.build(), key)
    }

    /// Answers every encrypted request with 204; its port.
    fn server(certificate: &X509, key: &PKey<Private>) -> u16 {
        let mut builder = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).expect("an acceptor");
        builder.set_certificate(certificate).expect("certificate");
        builder.set_private_key(key).expect("key");
        let acceptor = builder.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(mut stream) = acceptor.accept(stream) else { continue };
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        });
        port
    }

    #[tokio::test]
    async fn an_encrypted_target_is_believed_only_if_the_system_vouches_for_it() {
        let (certificate, key) = certificate();
        let port = server(&certificate, &key);
        let mut target = Target::new(&format!("https://127.0.0.1:{port}/failed")).expect("a target");
        let refused = target.post("1", "{}".to_owned()).await;
        assert!(matches!(refused, Err(PostError::Encryption(_))), "{refused:?}");
        let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("a connector");
        builder.cert_store_mut().add_cert(certificate).expect("certificate");
        target.encryption = Some(builder.build());
        let answer = target.post("1", "{}".to_owned()).await;
        assert_eq!(answer.ok(), Some(StatusCode::NO_CONTENT));
    }

    #[test]
    fn a_target_is_shown_without_what_may_be_secret() {
        let target = Target::new("https://hooks.example:8443/T0KEN?key=s3cret").expect("a target");
        assert_eq!(target.to_string(), "hooks.example:8443");
        assert_eq!(target.path, "/T0KEN?key=s3cret");
        let target = Target::new("http://[::1]").expect("a target");
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("::1", 80, "/"));
    }

    #[test]
    fn what_is_no_address_of_a_callback_is_refused() {
        for (url, wanted) in [
            ("ftp://x/", "begins with http"),
            ("hooks.example", "begins with http"),
            ("http://user:word@x/", "no user name"),
            ("http://a b/", "not a URL"),
        ] {
            let error = Target::new(url).err().expect("refused").to_string();
            assert!(error.contains(wanted), "{url}: {error}");
        }
    }
}
