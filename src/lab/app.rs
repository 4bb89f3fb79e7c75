//! The GenNet application as its clients see it, one front door per region: health, transactions, recovery points.

use std::io;

use super::Site;

/// What the application itself remembers.
#[derive(Default)]
pub struct App;

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}
