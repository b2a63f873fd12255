/** The system's words for a full disk, as LevelDB and Node pass them on. */
export function isFullDisk(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (/No space left|ENOSPC|Disk quota exceeded|EDQUOT/.test(at.message)) return true;
  return false;
}
