//! Writes the value in capitals; the key stays.
use fluvio_smartmodule::{smartmodule, Record, RecordData, Result};

#[smartmodule(map)]
pub fn map(record: &Record) -> Result<(Option<RecordData>, RecordData)> {
    let text = std::str::from_utf8(record.value.as_ref())?;
    Ok((record.key.clone(), text.to_uppercase().into()))
}
