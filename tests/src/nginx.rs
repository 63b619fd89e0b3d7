//! nginx as the TLS front of a plain HTTP server, unbuffered, as one is put before a local model.
//! Takes a certificate and the port behind; gives the port in front.

use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Authority, Running, wait_until};

#[derive(Debug)]
pub struct Nginx {
    pub port: u16,
    process: Running,
}

impl Nginx {
    /// `locations`: what stands in nginx's `server` block beside the certificate.
    ///
    /// # Errors
    /// nginx is missing or did not start.
    pub fn start(folder: &Path, authority: &Authority, locations: &str) -> Result<Self> {
        let port = free_port()?;
        let file = configure(folder, authority, port, "ssl", locations)?;
        let command = command(program(), folder, &file);
        let process = Running::start(command)?;
        wait_until("nginx", Duration::from_secs(10), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .with_context(|| process.errors.text())?;
        Ok(Self { port, process })
    }

    /// Of its only process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// In front of a server that streams: nothing is held back.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn before(folder: &Path, authority: &Authority, behind: u16) -> Result<Self> {
        let locations = format!(
            "location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1;
               proxy_set_header Host $http_host; proxy_set_header Connection '';
               proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600s; }}"
        );
        Self::start(folder, authority, &locations)
    }
}

/// Writes the configuration of one process that serves `port`. `with`: what stands behind the address.
pub(crate) fn configure(
    folder: &Path,
    authority: &Authority,
    port: u16,
    with: &str,
    locations: &str,
) -> Result<PathBuf> {
    let at = folder.display();
    let configuration = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr warn;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
           fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
           client_max_body_size 64m; keepalive_requests 1000000;
           server {{
             listen 127.0.0.1:{port} {with};
             ssl_certificate {}; ssl_certificate_key {};
             {locations}
           }}
         }}\n",
        authority.certificate.display(),
        authority.key.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).context("can't write nginx.conf")?;
    Ok(file)
}

pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path, configuration: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).arg("-c").arg(configuration).args(["-e", "stderr"]);
    command
}

/// nginx lies in a folder that a user's PATH lacks.
fn program() -> &'static str {
    let system = "/usr/sbin/nginx";
    if Path::new(system).exists() { system } else { "nginx" }
}

/// A port that nobody listens on now. nginx can't be given a socket that is bound already.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
