//! What every way to the outside world needs, systems and channels alike: secrets from where they are kept, one HTTP client, and
//! a place for calls and programs that may hang.

pub mod apart;
pub mod child;
pub mod http;
pub mod program;
pub mod redact;
pub mod secret;
pub mod stream;
pub mod tree;
pub mod wire;
