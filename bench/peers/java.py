"""Brokers that run on Java.

Maven fetches what their own distributions consist of, as `bench/compare/<name>/pom.xml` says: the distributions
themselves are several times as large, most of it a web console.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import cache
from pathlib import Path

from bench.peers.download import Downloaded, run_tool
from bench.peers.launch import Launch
from bench.peers.peer import SETTINGS, first_version, output_of

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class JavaPeer(Downloaded):
    """A broker on the class path."""

    least_java = 17
    warm_up = 10.0
    schedule_rate = 8_000.0
    main: str
    """The class that is started."""
    artifact: str
    """The jar whose version is the broker's."""
    options: tuple[str, ...] = ()
    """Of the virtual machine, besides those of bench/compare/java.options."""

    @property
    def package(self) -> str:
        """Without what its settings add to its name."""
        return self.name.partition("-")[0]

    @property
    def pom(self) -> Path:
        """What Maven is to fetch."""
        return SETTINGS / self.package / "pom.xml"

    def needs(self) -> str:
        """Java, and Maven to install it."""
        if (found := java_version()) < self.least_java:
            return f"there is no Java {self.least_java}" + (f", only {found}" if found else "")
        return "" if self.installed() or shutil.which("mvn") else "there is no Maven to fetch it with"

    def wanted(self) -> str:
        """What Maven is asked for."""
        return self.pom.read_text()

    def fetch(self, directory: Path) -> None:
        """Lets Maven copy every jar; it checks their sums, and asks the registry that the machine is set to."""
        options = ("-DincludeScope=runtime", f"-DoutputDirectory={directory / 'lib'}")
        run_tool(["mvn", "-B", "-q", "-U", COPY, "-f", str(self.pom), *options], directory)

    def version(self) -> str:
        """The broker's, and Java's."""
        jars = sorted((self.place / "lib").glob(f"{self.artifact}-*.jar"))
        said = output_of(java(), "-version")
        return f"{first_version(jars[0].stem) if jars else 'unknown'}, Java {first_version(said)}"

    def properties(self, directory: Path) -> dict[str, object]:
        """System properties that it reads."""
        return {}

    def start(self, directory: Path, *arguments: str) -> Launch:
        """How its main class is started."""
        properties = {"java.io.tmpdir": directory, **self.properties(directory)}
        defined = [f"-D{name}={value}" for name, value in properties.items()]
        command = [java(), f"@{SETTINGS / 'java.options'}", *defined, *self.options]
        return Launch([*command, "-cp", f"{directory}:{self.place / 'lib'}/*", self.main, *arguments])


def java() -> str:
    """The program: JAVA_HOME's, or what PATH finds."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else shutil.which("java") or "java"


@cache
def java_version() -> int:
    """The feature version of `java`; 0 if there is none."""
    return feature_version(output_of(java(), "-version"))


def feature_version(said: str) -> int:
    """17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_392"`."""
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else 0
