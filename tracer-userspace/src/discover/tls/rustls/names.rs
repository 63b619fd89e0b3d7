//! rustls' functions by their names, where a program has them: also of 0.21 and of builds without
//! optimisation, whose tables do not say enough.
//! Takes an image; gives the functions with what their types' names say. What a name leaves open, the code
//! has to show.

use std::collections::BTreeMap;

use crate::discover::Image;

/// Ends of the names of an implementation's function, as the compiler mangles them: until 1.96, and since.
const ENCRYPT: [&[u8]; 2] = [b"MessageEncrypter$GT$7encrypt17h", b"MessageEncrypter7encrypt"];
const DECRYPT: [&[u8]; 2] = [b"MessageDecrypter$GT$7decrypt17h", b"MessageDecrypter7decrypt"];

/// What is put there before there is a key.
const NONE: &[u8] = b"InvalidMessage";

/// What the types of encrypters are named, or where they are, and what they add to a payload.
const ADDED: [(&[u8], u8); 4] = [
    (b"tls13", 0x11),
    (b"Tls13MessageEncrypter", 0x11),
    (b"GcmMessageEncrypter", 0x18),
    (b"ChaCha20Poly1305MessageEncrypter", 0x10),
];

#[derive(Debug, Default)]
pub(super) struct Named {
    /// By address, with what it adds.
    pub(super) encrypt: BTreeMap<u64, u8>,
    pub(super) decrypt: Vec<u64>,
}

pub(super) fn find(image: &Image<'_>) -> Named {
    let mut named = Named::default();
    image.each_function(&mut |symbol| {
        let has = |part: &[u8]| memchr::memmem::find(symbol.name, part).is_some();
        // The cheap test first.
        if !has(b"crypter") || has(NONE) {
            return;
        }
        if ENCRYPT.into_iter().any(has) {
            let added = ADDED.iter().find(|(part, _)| has(part));
            named.encrypt.extend(added.map(|(_, added)| (symbol.address, *added)));
        } else if DECRYPT.into_iter().any(has) {
            named.decrypt.push(symbol.address);
        }
    });
    named
}
