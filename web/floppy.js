// Floppies: what is on one, and a .COM of the user's put onto ours. FAT12, as scripts/mkfloppy makes it.

import { BadRecording } from "./expand.js";
import { t } from "./language.js";

const FLOPPY = 1474560;
const SECTOR = 512, ENTRY = 32, ROOM = 60 << 10;
const word = (bytes, at) => bytes[at] | bytes[at + 1] << 8;

function layout(image) {
  const reserved = word(image, 14);
  const [fats, entries, perFat] = [image[16], word(image, 17), word(image, 22)];
  const root = (reserved + fats * perFat) * SECTOR;
  return { fat: reserved * SECTOR, fats, fatBytes: perFat * SECTOR, root, entries, data: root + entries * ENTRY, cluster: (image[13] || 1) * SECTOR };
}

/** A floppy from the bytes of a file, or a sentence why it is none. */
export function checkFloppy(bytes, name) {
  if (bytes.length !== FLOPPY) throw new BadRecording(t("{0} has {1} bytes; a floppy of 1.44 MB has {2}.", name, bytes.length, FLOPPY));
  if (bytes[510] !== 0x55 || bytes[511] !== 0xaa) throw new BadRecording(t("{0} does not boot: its first sector does not end with 55 aa.", name));
  return bytes;
}

/** Names of the programs that MENU lists, in its order. */
export function programsOn(image) {
  if (word(image, 11) !== SECTOR) return [];
  const { root, entries } = layout(image);
  const names = [];
  for (let at = root; at < root + entries * ENTRY && image[at]; at += ENTRY) {
    const name = String.fromCharCode(...image.subarray(at, at + 11));
    if (image[at] !== 0xe5 && !(image[at + 11] & 0x18) && name.endsWith("COM")) names.push(name.slice(0, 8).trim());
  }
  return names.filter((name) => name !== "MENU");
}

/** A copy of our floppy with a .COM on it, as OWN.COM. */
export function withProgram(image, bytes, name) {
  if (!bytes.length || bytes.length > ROOM) throw new BadRecording(t("{0} has {1} bytes: a .COM has 1 to {2}.", name, bytes.length, ROOM));
  const floppy = image.slice();
  const { fat, fats, fatBytes, root, entries, data, cluster } = layout(floppy);
  const next = (number) => {
    const pair = word(floppy, fat + Math.floor(number * 3 / 2));
    return number & 1 ? pair >> 4 : pair & 0xfff;
  };
  const chain = (number, value) => {
    for (let copy = 0; copy < fats; copy++) {
      const at = fat + copy * fatBytes + Math.floor(number * 3 / 2);
      const pair = number & 1 ? (word(floppy, at) & 0x000f) | value << 4 : (word(floppy, at) & 0xf000) | value;
      floppy[at] = pair & 255;
      floppy[at + 1] = pair >> 8;
    }
  };
  const most = (FLOPPY - data) / cluster + 2;
  const free = [];
  for (let number = 2; number < most && free.length < Math.ceil(bytes.length / cluster); number++) if (!next(number)) free.push(number);
  let place = root;
  while (floppy[place] && floppy[place] !== 0xe5) place += ENTRY;
  if (place >= data || free.length < Math.ceil(bytes.length / cluster)) throw new BadRecording(t("There is no room left on the floppy."));
  free.forEach((number, i) => {
    chain(number, i + 1 < free.length ? free[i + 1] : 0xfff);
    floppy.set(bytes.subarray(i * cluster, (i + 1) * cluster), data + (number - 2) * cluster);
  });
  floppy.set(new TextEncoder().encode("OWN     COM "), place);
  floppy.fill(0, place + 12, place + ENTRY);
  floppy[place + 26] = free[0] & 255;
  floppy[place + 27] = free[0] >> 8;
  for (let i = 0; i < 4; i++) floppy[place + 28 + i] = bytes.length >> 8 * i & 255;
  return floppy;
}
