//! The file under the database. Where a test asks for it, in debug builds, it fails as a broken disk does, or the process
//! dies over it.

use std::fs::File;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError};

/// Opens the database of a file, or makes one.
pub(super) fn open(builder: &Builder, file: File) -> Result<Database, DatabaseError> {
    let device = FileBackend::new(file)?;
    #[cfg(debug_assertions)]
    if [crate::fault::FAIL_POINT, crate::fault::KILL_POINT].iter().any(|point| std::env::var_os(point).is_some()) {
        return builder.create_with_backend(failing::Failing(device));
    }
    builder.create_with_backend(device)
}

#[cfg(debug_assertions)]
mod failing {
    use std::io;

    use redb::StorageBackend;
    use redb::backends::FileBackend;

    use crate::fault::{fail_point, kill_point};

    /// Takes no locks: the directory is locked as a whole.
    #[derive(Debug)]
    pub(super) struct Failing(pub(super) FileBackend);

    impl StorageBackend for Failing {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            fail_point("device_read")?;
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            fail_point("device_set_len")?;
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            kill_point("device_written");
            fail_point("device_sync")?;
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            fail_point("device_write")?;
            if let Err(broken) = fail_point("device_short_write") {
                self.0.write(offset, &data[..data.len() / 2])?;
                return Err(broken);
            }
            let (first, second) = data.split_at(data.len() / 2);
            self.0.write(offset, first)?;
            kill_point("device_half_written");
            self.0.write(offset + first.len() as u64, second)
        }

        fn close(&self) -> io::Result<()> {
            self.0.close()
        }
    }
}
