//! Value becomes "OFFSET TIMESTAMP VALUE", key becomes the offset: what only
//! the newer record type shows.
use fluvio_smartmodule::{smartmodule, RecordData, Result, SmartModuleRecord};

#[smartmodule(map)]
pub fn map(record: &SmartModuleRecord) -> Result<(Option<RecordData>, RecordData)> {
    let text = std::str::from_utf8(record.value().as_ref())?;
    let shown = format!("{} {} {}", record.offset(), record.timestamp(), text);
    Ok((Some(record.offset().to_string().into()), shown.into()))
}
