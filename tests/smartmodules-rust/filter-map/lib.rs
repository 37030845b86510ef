//! Halves even numbers, drops odd ones; anything else is an error.
use fluvio_smartmodule::{smartmodule, Record, RecordData, Result};

#[smartmodule(filter_map)]
pub fn filter_map(record: &Record) -> Result<Option<(Option<RecordData>, RecordData)>> {
    let number: i64 = std::str::from_utf8(record.value.as_ref())?.parse()?;
    if number % 2 != 0 {
        return Ok(None);
    }
    Ok(Some((record.key.clone(), (number / 2).to_string().into())))
}
