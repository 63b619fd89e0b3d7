//! A certificate authority for one run, and a certificate of it.
//! Takes a folder; gives the files in it, made by the `openssl` command.
//! Clients are told of it by the variables that their TLS libraries read, so they stay unmodified.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

#[derive(Clone, Debug)]
pub struct Authority {
    /// The authority's own certificate, which clients must trust.
    pub root: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Its certificate is for `localhost` and the `hosts`.
    ///
    /// # Errors
    /// `openssl` is missing or failed.
    pub fn make(folder: &Path, hosts: &[&str]) -> Result<Self> {
        let path = |name: &str| folder.join(name);
        let made =
            Self { root: path("ca.pem"), certificate: path("server.pem"), key: path("server.key") };
        let mut names = "subjectAltName=DNS:localhost,IP:127.0.0.1".to_owned();
        names.extend(hosts.iter().map(|host| format!(",DNS:{host}")));
        fs::write(path("names"), names + "\n")?;
        let steps = [
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=llmtap-test-authority \
             -keyout ca.key -out ca.pem",
            "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile names -out server.pem",
        ];
        for step in steps {
            let output = Command::new("openssl")
                .args(step.split_whitespace())
                .current_dir(folder)
                .stdin(Stdio::null())
                .output()
                .context("can't start openssl (`cargo xtask setup` installs it)")?;
            if !output.status.success() {
                bail!("openssl {step} failed: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(made)
    }

    /// Makes Python, Node, curl and whatever else uses OpenSSL trust the authority; the last two are
    /// for packages that bring certificates of their own.
    pub fn trust(&self, command: &mut Command) {
        for variable in
            ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]
        {
            command.env(variable, &self.root);
        }
    }
}
