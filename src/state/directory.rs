//! The directory of a store: made for its owner only, locked by one process, and emptied into a folder of its own when
//! what is in it cannot be used. Knows nothing of what the files mean.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use quorate_core::ident::Millis;
use tracing::warn;

use super::OpenError;

const LOCK: &str = "lock";
const SET_ASIDE: &str = "set-aside-";

/// A directory that no other process has open. The lock goes with the value.
#[derive(Debug)]
pub(super) struct Directory {
    pub path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        make_private(path).map_err(|e| unusable("cannot make the state directory", path, &e))?;
        let file = path.join(LOCK);
        let mut lock = create_private(&file).map_err(|e| unusable("cannot open the lock", &file, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { dir: path.to_owned(), pid: pid(&mut lock) });
            }
            Err(TryLockError::Error(e)) => return Err(unusable("cannot lock", &file, &e)),
        }
        let told = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        told.map_err(|e| unusable("cannot write", &file, &e))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Makes a folder for what is set aside, and says where that is and how many such folders there are.
    pub(super) fn aside(&self, now: Millis) -> io::Result<(PathBuf, usize)> {
        let to = self.unused(&stamp(now));
        private_dir(&to)?;
        Ok((to, self.entries()?.filter(|path| is_aside(path)).count()))
    }

    /// Whether there is such a folder.
    pub(super) fn has_set_aside(&self) -> io::Result<bool> {
        Ok(self.entries()?.any(|path| is_aside(&path)))
    }

    /// Moves everything there.
    pub(super) fn move_to(&self, to: &Path) -> io::Result<()> {
        for file in self.content()? {
            fs::rename(&file, to.join(name(&file)))?;
        }
        sync(to)?;
        sync(&self.path)
    }

    /// Copies everything there.
    pub(super) fn copy_to(&self, to: &Path) -> io::Result<()> {
        for file in self.content()? {
            let copy = to.join(name(&file));
            fs::copy(&file, &copy)?;
            File::open(&copy)?.sync_all()?;
        }
        sync(to)?;
        sync(&self.path)
    }

    /// What belongs to the store.
    fn content(&self) -> io::Result<impl Iterator<Item = PathBuf>> {
        Ok(self.entries()?.filter(|path| !is_aside(path) && name(path) != LOCK))
    }

    fn entries(&self) -> io::Result<std::vec::IntoIter<PathBuf>> {
        let entries: io::Result<Vec<_>> = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.path())).collect();
        Ok(entries?.into_iter())
    }

    fn unused(&self, stamp: &str) -> PathBuf {
        let plain = self.path.join(format!("{SET_ASIDE}{stamp}"));
        let others = (2..).map(|nth| self.path.join(format!("{SET_ASIDE}{stamp}-{nth}")));
        std::iter::once(plain).chain(others).find(|path| !path.exists()).expect("there is always another number")
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_aside(path: &Path) -> bool {
    name(path).starts_with(SET_ASIDE)
}

/// An error of the file system, with what to do about it.
pub(super) fn unusable(what: &str, path: &Path, e: &io::Error) -> OpenError {
    let remedy = match e.kind() {
        ErrorKind::PermissionDenied => "let the service's user own the directory, or set another state.dir",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "make room on the disk",
        ErrorKind::ReadOnlyFilesystem => "set state.dir to a place that can be written",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "set state.dir to a directory",
        _ => "see to the disk; nothing of the state was changed",
    };
    OpenError::Unusable { what: format!("{what} {}: {e}", path.display()), remedy: remedy.to_owned() }
}

/// Opens a file that only its owner may read, making it if need be.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes what was renamed or made in a directory last.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn make_private(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        private_dir(path)?;
        return path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o022 != 0 {
            warn!(dir = %path.display(), mode = format!("{:o}", mode & 0o777), "others may write to the state directory");
        }
    }
    Ok(())
}

fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn stamp(now: Millis) -> String {
    let time = Timestamp::from_millisecond(now.0).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}
