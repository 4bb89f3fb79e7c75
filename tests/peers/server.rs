//! Servers that tests start for themselves: each on a port of its own on loopback, and ended with the value that stands for it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port below the range that outgoing connections are given: a server that is killed and started again still finds it free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 20_000 + (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process that ends with the value.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts what will listen on `port`. What it prints goes nowhere.
    pub fn start(command: &mut Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, address: format!("127.0.0.1:{port}") }
    }

    /// Starts what ends with its input, and says itself where it listens. Answers what it prints.
    pub fn talking(command: &mut Command) -> (Self, ChildStdout) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let said = child.stdout.take().expect("it was piped");
        (Self { child, address: String::new() }, said)
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// # Panics
    /// When the process has ended by itself.
    pub fn lives(&mut self) {
        let ended = self.child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "what should listen on {} has ended: {ended:?}", self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An authority of a test's own, and a certificate of it for this host, in files.
pub struct Authority {
    pub bundle: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn in_folder(folder: &Path) -> Self {
        let signing = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        let root = params.self_signed(&signing).unwrap();
        let issuer = rcgen::Issuer::new(params, signing);
        let own = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            bundle: write("bundle.pem", root.pem()),
            certificate: write("leaf.pem", leaf.pem()),
            key: write("leaf.key", own.serialize_pem()),
        }
    }
}
