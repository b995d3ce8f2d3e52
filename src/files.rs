//! Files that appear under their names when they are complete, and what an interrupt leaves of those that are not.
//!
//! Whatever writes a result writes it beside its place, under a hidden name, and gives it its name at the end. Hidden
//! names are kept in a list for as long as they exist: a signal that ends the program takes them away first. While a
//! result takes its place nobody ends the program.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::{Builder, TempPath};

/// Hidden files and folders that exist now.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// The first signal that asked for the end; 0: none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Whether the work at hand looks at [`interrupted`] and ends by itself.
static ENDS_ITSELF: AtomicBool = AtomicBool::new(false);

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on SIGINT and SIGTERM end the program with the status 130 or 143, and no hidden file stays behind.
///
/// # Errors
/// If signals cannot be listened to.
pub(crate) fn clean_up_on_signals() -> io::Result<()> {
    listen(|signal| {
        let first = SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        // Who asks twice does not want to wait.
        if first && ENDS_ITSELF.load(Ordering::SeqCst) {
            return;
        }
        // The list stays locked: nobody begins another file, and nobody is in the middle of giving one its name.
        let left = unfinished();
        left.iter().for_each(|path| remove(path));
        std::process::exit(128 + signal);
    })
}

/// Calls `each` for every signal, in a thread of its own.
#[cfg(unix)]
fn listen(each: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(each))?;
    Ok(())
}

/// Windows queues no signals: what came is looked at now and then.
#[cfg(not(unix))]
fn listen(each: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    let came = [SIGINT, SIGTERM].map(|signal| (signal, std::sync::Arc::new(AtomicBool::new(false))));
    for (signal, flag) in &came {
        signal_hook::flag::register(*signal, flag.clone())?;
    }
    let look = move || loop {
        came.iter().filter(|(_, flag)| flag.swap(false, Ordering::SeqCst)).for_each(|(signal, _)| each(*signal));
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    std::thread::Builder::new().name("signals".into()).spawn(look)?;
    Ok(())
}

/// A folder may grow while it is emptied.
fn remove(path: &Path) {
    for _ in 0..100 {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        if removed.is_ok() || !path.exists() {
            return;
        }
    }
}

/// While this lives, the first signal does not end the program: the work looks at [`interrupted`] and keeps what is
/// complete.
pub(crate) struct EndsItself(());

impl EndsItself {
    /// The work begins.
    pub(crate) fn begin() -> EndsItself {
        ENDS_ITSELF.store(true, Ordering::SeqCst);
        EndsItself(())
    }
}

impl Drop for EndsItself {
    fn drop(&mut self) {
        ENDS_ITSELF.store(false, Ordering::SeqCst);
    }
}

/// The signal that asked for the end, if one did.
pub(crate) fn interrupted() -> Option<i32> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// The folder of a path.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is made here is like any other file, not its owner's alone.
fn builder() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".sim-");
    builder
}

#[cfg(unix)]
fn open_to_all(builder: &mut Builder<'static, 'static>, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn open_to_all(_: &mut Builder<'static, 'static>, _: u32) {}

/// A file that appears under its name when it is [finished](Whole::finish); dropped before, it leaves nothing.
pub(crate) struct Whole {
    writer: Option<BufWriter<File>>,
    hidden: Option<TempPath>,
    path: PathBuf,
}

impl Whole {
    /// Begins a file, in a folder that exists.
    ///
    /// # Errors
    /// If it cannot be made there.
    pub(crate) fn create(path: &Path) -> io::Result<Whole> {
        let mut builder = builder();
        open_to_all(&mut builder, 0o666);
        let mut left = unfinished();
        let (file, hidden) = builder.tempfile_in(folder_of(path))?.into_parts();
        left.insert(hidden.to_path_buf());
        Ok(Whole { writer: Some(BufWriter::new(file)), hidden: Some(hidden), path: path.to_owned() })
    }

    /// The file takes its name.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub(crate) fn finish(self) -> io::Result<()> {
        let path = self.path.clone();
        self.finish_as(&path)
    }

    /// The file takes another name, in the same folder.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub(crate) fn finish_as(mut self, path: &Path) -> io::Result<()> {
        self.flush()?;
        self.writer = None;
        let hidden = self.hidden.take().expect("it is finished once");
        let mut left = unfinished();
        left.remove(hidden.as_ref() as &Path);
        hidden.persist(path).map_err(|error| error.error)
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().expect("the file is open").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().expect("the file is open").flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(hidden) = self.hidden.take() {
            unfinished().remove(hidden.as_ref() as &Path);
        }
    }
}

/// Writes a file, all of it or nothing.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Whole::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Lets `write` fill the folder `dir`, which appears with all that it wrote at once. A folder that is there already is
/// replaced; what it holds under the name `kept` is taken over.
///
/// Whoever else does the same at the same time does not disturb it: the last one stays.
///
/// # Errors
/// If something cannot be written.
pub(crate) fn write_folder(dir: &Path, kept: &str, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = folder_of(dir);
    fs::create_dir_all(parent)?;
    let fresh = Hidden::create(parent)?;
    write(&fresh.0)?;
    let old = Hidden::create(parent)?;
    // While the list is locked, nobody ends the program.
    let mut left = unfinished();
    for place in 0..ROUNDS {
        match fs::rename(&fresh.0, dir) {
            Ok(()) => {
                left.remove(&fresh.0);
                let other = |place: usize| old.0.join(place.to_string()).join(kept);
                let found = (0..place).map(other).find(|other| other.exists());
                return found.map_or(Ok(()), |found| fs::rename(found, dir.join(kept)));
            }
            Err(error) if !dir.exists() => return Err(error),
            // An empty folder is replaced by a rename, a full one is set aside. It may be gone by now.
            Err(_) => match fs::rename(dir, old.0.join(place.to_string())) {
                Err(error) if dir.exists() && place + 1 == ROUNDS => return Err(error),
                _ => {}
            },
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("others keep writing {}", dir.display())))
}

/// How often a folder is set aside for another that came in between.
const ROUNDS: usize = 100;

/// A hidden folder; what is left of it goes when it is dropped.
struct Hidden(PathBuf);

impl Hidden {
    fn create(parent: &Path) -> io::Result<Hidden> {
        let mut builder = builder();
        open_to_all(&mut builder, 0o777);
        let mut left = unfinished();
        let path = builder.tempdir_in(parent)?.keep();
        left.insert(path.clone());
        Ok(Hidden(path))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        unfinished().remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.txt");
        let mut file = Whole::create(&path).expect("it can be made");
        file.write_all(b"half").expect("it can be written");
        assert!(!path.exists());
        assert!(unfinished().iter().any(|hidden| hidden.starts_with(folder.path())));
        drop(file);
        assert_eq!(names(folder.path()), Vec::<String>::new());
        write(&path, b"whole").expect("it can be written");
        assert_eq!((names(folder.path()), fs::read(&path).expect("a file")), (vec!["a.txt".into()], b"whole".to_vec()));
        assert!(!unfinished().iter().any(|hidden| hidden.starts_with(folder.path())));
    }

    #[test]
    fn folders_are_replaced_side_by_side() {
        let parent = tempfile::tempdir().expect("a folder");
        let dir = parent.path().join("run");
        let both = |n: u8| move |fresh: &Path| ["a", "b"].iter().try_for_each(|name| fs::write(fresh.join(name), [n]));
        write_folder(&dir, "output", both(0)).expect("the first");
        fs::create_dir_all(dir.join("output/inner")).expect("a folder in it");
        std::thread::scope(|scope| {
            for n in 1..8 {
                let dir = &dir;
                scope.spawn(move || {
                    for _ in 0..20 {
                        write_folder(dir, "output", both(n)).expect("nobody fails");
                    }
                });
            }
        });
        assert_eq!(
            (names(parent.path()), names(&dir)),
            (vec!["run".into()], ["a", "b", "output"].map(String::from).to_vec())
        );
        assert_eq!(fs::read(dir.join("a")).expect("a file"), fs::read(dir.join("b")).expect("a file"));
        assert!(dir.join("output/inner").is_dir());
    }
}
