//! A student's folder: the answers, and a file that says what has been tried.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use halyard_lab::labs::{LABS, Lab};
use serde::{Deserialize, Serialize};

use super::exit::Ended;

/// The file that makes a folder a student's folder.
const MARK: &str = "halyard-lab.json";
/// Where the folder is, if not here.
pub(crate) const VARIABLE: &str = "HALYARD_LAB_DIR";

/// What has been done for one lab.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) attempts: u32,
    pub(crate) passed: bool,
    pub(crate) hints: usize,
    #[serde(default)]
    pub(crate) revealed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    version: u32,
    labs: BTreeMap<usize, Done>,
}

/// A student's folder.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) folder: PathBuf,
    book: Book,
}

impl Answers {
    /// The folder given, or the one that we are in, or that the environment names.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, Ended> {
        if let Some(folder) = given {
            return Self::open(folder.to_owned());
        }
        let here = env::current_dir().map_err(|error| Ended::io("the current folder", &error))?;
        if let Some(folder) = here.ancestors().find(|folder| folder.join(MARK).is_file()) {
            return Self::open(folder.to_owned());
        }
        match env::var_os(VARIABLE) {
            Some(folder) => Self::open(folder.into()),
            None => Err(Ended::no_answers(format!(
                "this is no folder of answers. Make one with `halyard-lab start DIR` and go there (cd DIR), or name it \
                 with --dir DIR or {VARIABLE}"
            ))),
        }
    }

    fn open(folder: PathBuf) -> Result<Self, Ended> {
        let mark = folder.join(MARK);
        let text = match fs::read_to_string(&mark) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Ended::no_answers(format!(
                    "{} is no folder of answers ({MARK} is missing). Make one with `halyard-lab start DIR`",
                    folder.display()
                )));
            }
            Err(error) => return Err(Ended::io(mark.display(), &error)),
        };
        // A progress file that was spoiled must not keep anybody from the labs; progress starts anew.
        let book = serde_json::from_str(&text).unwrap_or_else(|error| {
            eprintln!("halyard-lab: {} cannot be read ({error}); progress starts anew", mark.display());
            Book::default()
        });
        Ok(Self { folder, book })
    }

    /// Makes a folder with every starter.
    pub(crate) fn start(folder: &Path) -> Result<Vec<PathBuf>, Ended> {
        let failed = |path: &Path, error: &io::Error| Ended::io(path.display(), error);
        match fs::read_dir(folder) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Ended::usage(format!(
                        "{} is not empty, and answers must not be written over; name a folder that does not exist yet",
                        folder.display()
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
            }
            Err(error) => return Err(failed(folder, &error)),
        }
        let mut made = Vec::new();
        for lab in LABS {
            let home = folder.join(lab.folder);
            fs::create_dir(&home).map_err(|error| failed(&home, &error))?;
            for file in lab.files {
                let path = home.join(file.name);
                fs::write(&path, file.starter).map_err(|error| failed(&path, &error))?;
                made.push(path);
            }
        }
        let answers = Self { folder: folder.to_owned(), book: Book { version: 1, labs: BTreeMap::new() } };
        answers.save()?;
        Ok(made)
    }

    pub(crate) fn home(&self, lab: &Lab) -> PathBuf {
        self.folder.join(lab.folder)
    }

    pub(crate) fn done(&self, lab: &Lab) -> Done {
        self.book.labs.get(&lab.number).copied().unwrap_or_default()
    }

    /// Changes what is written down about a lab.
    pub(crate) fn note(&mut self, lab: &Lab, change: impl FnOnce(&mut Done)) -> Result<(), Ended> {
        self.book.version = 1;
        change(self.book.labs.entry(lab.number).or_default());
        self.save()
    }

    fn save(&self) -> Result<(), Ended> {
        // Beside, then over: a full disk or a kill leaves the old one.
        let (mark, beside) = (self.folder.join(MARK), self.folder.join(".halyard-lab.json.new"));
        let text = serde_json::to_string_pretty(&self.book).expect("plain numbers");
        let written = fs::File::create(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&beside, &mark));
        written.map_err(|error| Ended::io(mark.display(), &error))
    }
}
