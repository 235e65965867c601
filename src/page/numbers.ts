// Numbers as readers take them in. templates/page/numbers.js says them the same way.

/** `3.4 MiB`, `640 bytes`. */
export function byteText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  let shown = bytes;
  for (; shown >= 1024 && at < units.length - 1; at++) shown /= 1024;
  return `${at === 0 ? shown : Number(shown.toPrecision(3))} ${units[at]}`;
}

/** `5.63 M`, `12 k`. */
export function countText(count: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  let at = 0;
  let shown = count;
  for (; shown >= 1000 && at < units.length - 1; at++) shown /= 1000;
  return `${at === 0 ? shown : Number(shown.toPrecision(3))}${units[at]}`;
}
