# Writes archives of random entries, the same for the same number: FOLDER COUNT LARGEST_ID DEVICES.
# Nothing is in them that GNU tar does not do as it is asked to: every folder has one entry, before what is in it, and
# nothing takes its place.
import io
import os
import random
import sys
import tarfile

FOLDER, COUNT, LARGEST, DEVICES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"
LETTERS = [b"a", b"b", b"Z", b"0", b" ", b"\n", b"'", b"\\", b"*", "ä".encode(), "語".encode(), b"\xff", b"\xc3"]


def text(data):
    return data.decode("utf-8", "surrogateescape")


class Archive:
    def __init__(self, number):
        self.random = random.Random(number)
        self.format = self.random.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.PAX_FORMAT,
                                          tarfile.USTAR_FORMAT])
        whole = {}
        if self.format == tarfile.PAX_FORMAT and self.random.random() < 0.3:
            whole = {"comment": "of all", "mtime": "1234567890"}
        self.tar = tarfile.open(os.path.join(FOLDER, "%d.tar" % number), "w", format=self.format,
                                encoding="utf-8", errors="surrogateescape", pax_headers=whole)
        self.folders, self.files, self.links = [""], [], []
        self.number = 0

    def name(self, parent):
        length = self.random.choice([1, 3, 8, 20, 90, 240])
        if self.format == tarfile.USTAR_FORMAT:
            length = min(length, 20)
        self.number += 1
        data = b"%d" % self.number
        while len(data) < length:
            data += self.random.choice(LETTERS)
        return parent + text(data)

    def entry(self, name, kind, link="", content=b""):
        chance = self.random
        info = tarfile.TarInfo(chance.choice(["", "./", "./", ".//"]) + name)
        info.type, info.linkname, info.size = kind, link, len(content)
        info.mode = chance.choice([0o644, 0o755, 0o600, 0, 0o4755, 0o2711, 0o1777, chance.randrange(0o10000)])
        if kind == tarfile.DIRTYPE:
            info.mode &= ~0o2000
        ustar = self.format == tarfile.USTAR_FORMAT
        if LARGEST:
            largest = min(LARGEST, 2000000) if ustar else LARGEST
            info.uid, info.gid = (chance.choice([0, 0, 1000, chance.randrange(largest)]) for _ in "ug")
        info.mtime = chance.choice([0, 1, 1700000000, chance.randrange(1 << 33)])
        if not ustar and chance.random() < 0.2:
            info.mtime = -chance.randrange(1, 1 << 31)
        if self.format == tarfile.PAX_FORMAT:
            if chance.random() < 0.5:
                info.mtime += chance.randrange(1, 1024) / 1024
            if kind in (tarfile.REGTYPE, tarfile.DIRTYPE) and chance.random() < 0.3:
                value = b"".join(chance.choice(LETTERS + [b"\0", b"="]) for _ in range(chance.randrange(1, 30)))
                info.pax_headers["SCHILY.xattr.user.note"] = text(value)
        if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            info.devmajor, info.devminor = chance.randrange(1, 200), chance.randrange(200)
        try:
            self.tar.addfile(info, io.BytesIO(content))
        except ValueError:
            # The old format cannot say this.
            return False
        return True

    def folder(self, name):
        if self.entry(name, tarfile.DIRTYPE):
            self.folders.append(name + "/")

    def file(self, name):
        size = self.random.choice([0, 1, 511, 512, 513, 5000, 40000])
        content = self.random.randbytes(size)
        if self.entry(name, tarfile.REGTYPE, content=content):
            self.files.append(name)

    def link(self, parent, name):
        beside = [folder for folder in self.folders
                  if folder.startswith(parent) and folder.count("/") == parent.count("/") + 1 and folder != parent]
        if beside and self.random.random() < 0.5:
            # What comes under the link's name lies in the folder that it leads to.
            folder = self.random.choice(beside)
            if self.entry(name, tarfile.SYMTYPE, folder[len(parent):-1]):
                self.folders.append(name + "/")
            return
        target = self.random.choice(["nowhere", "a/b", "x" * 99, "../" * 9 + "etc/passwd", "/etc/passwd"])
        if self.entry(name, tarfile.SYMTYPE, target) and target[0] not in "./":
            self.links.append(name)

    def fill(self):
        chance = self.random
        for _ in range(chance.randrange(5, 40)):
            parent = chance.choice(self.folders)
            if parent.count("/") > 6:
                continue
            name = self.name(parent)
            dice = chance.random()
            if dice < 0.3:
                self.file(name)
            elif dice < 0.55:
                self.folder(name)
            elif dice < 0.7:
                self.link(parent, name)
            elif dice < 0.8 and self.files:
                self.entry(name, tarfile.LNKTYPE, chance.choice(["", "./"]) + chance.choice(self.files))
            elif dice < 0.85:
                self.entry(name, tarfile.FIFOTYPE)
            elif dice < 0.9 and DEVICES:
                self.entry(name, chance.choice([tarfile.CHRTYPE, tarfile.BLKTYPE]))
            elif dice < 0.95 and self.files:
                self.file(self.files.pop(chance.randrange(len(self.files))))
            elif self.links:
                self.file(self.links.pop())
        self.entry("", tarfile.DIRTYPE)
        self.tar.close()


for count in range(COUNT):
    Archive(count).fill()
