//! Keeps records whose value contains an `a`; a value that is no UTF-8 is an
//! error.
use fluvio_smartmodule::{smartmodule, Record, Result};

#[smartmodule(filter)]
pub fn filter(record: &Record) -> Result<bool> {
    Ok(std::str::from_utf8(record.value.as_ref())?.contains('a'))
}
