//! Keeps numbers above the largest one seen so far, past records included.
use std::sync::atomic::{AtomicI64, Ordering};

use fluvio_smartmodule::{smartmodule, Record, Result};

static LARGEST: AtomicI64 = AtomicI64::new(i64::MIN);

fn number(record: &Record) -> Result<i64> {
    Ok(std::str::from_utf8(record.value.as_ref())?.parse()?)
}

#[smartmodule(look_back)]
pub fn look_back(record: &Record) -> Result<()> {
    LARGEST.fetch_max(number(record)?, Ordering::Relaxed);
    Ok(())
}

#[smartmodule(filter)]
pub fn filter(record: &Record) -> Result<bool> {
    let n = number(record)?;
    Ok(LARGEST.fetch_max(n, Ordering::Relaxed) < n)
}
