use std::fs;
use std::sync::Arc;

use pyo3::prelude::*;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use fscore_core::error::ErrorKind;

use crate::errors::Fault;

/// Which certificates of servers are trusted, and which one this client shows.
pub(super) struct TlsSettings {
    pub(super) server_name: Option<String>,
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    verify: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            server_name: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            verify: true,
        }
    }
}

impl TlsSettings {
    /// Sets one setting; `false` if there is none of this name.
    pub(super) fn apply(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "tls_server_name" => self.server_name = value.extract()?,
            "tls_ca_file" => self.ca_file = value.extract()?,
            "tls_cert_file" => self.cert_file = value.extract()?,
            "tls_key_file" => self.key_file = value.extract()?,
            "tls_verify" => self.verify = value.extract()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The client's side of TLS, from files.
pub(super) fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up", &error))?;
    let builder = if settings.verify {
        builder.with_root_certificates(roots(settings.ca_file.as_deref())?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
    };
    let config = match (&settings.cert_file, &settings.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|error| wrong(&format!("no private key in {key}"), &error))?;
            builder
                .with_client_auth_cert(certificates(cert)?, key)
                .map_err(|error| wrong("the client certificate cannot be used", &error))?
        }
        _ => {
            return Err(Fault::new(
                ErrorKind::ConfigError,
                "a client certificate needs both tls_cert_file and tls_key_file",
            ));
        }
    };
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&str>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| {
                wrong(
                    &format!("a certificate in {path} is not a CA certificate"),
                    &error,
                )
            })?;
        }
    } else {
        // If some of the system's certificates cannot be read, the others are still trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(Fault::new(
            ErrorKind::ConfigError,
            "there is no CA certificate to verify the server with; give tls_ca_file",
        ));
    }
    Ok(roots)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            wrong(
                &format!("the certificates in {path} cannot be read"),
                &error,
            )
        })?;
    if certificates.is_empty() {
        return Err(Fault::new(
            ErrorKind::ConfigError,
            format!("there is no PEM certificate in {path}"),
        ));
    }
    Ok(certificates)
}

fn read(path: &str) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|error| wrong(&format!("cannot read {path}"), &error))
}

fn wrong(what: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(ErrorKind::ConfigError, format!("{what}: {error}"))
}

/// Trusts any server, because the settings say so explicitly. Still checks that the server holds
/// the key of the certificate it shows.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
