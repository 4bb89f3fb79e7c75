//! What every way to the outside world needs, systems and channels alike: secrets from where they are kept, and one HTTP client.

pub mod http;
pub mod redact;
pub mod secret;
