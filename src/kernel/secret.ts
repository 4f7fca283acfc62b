/** Keys whose values must never be printed, anywhere. */
const SECRET_KEY = new RegExp(
  [
    "pass(?:word|wd|phrase)|^pass|pass[_-]?[0-9]*$|pwd|(?:^|[_-])pw(?:$|[_-])",
    "secret|token|credential|(?:^|[_-])dsn$",
    "(?:^|[_-])auth(?:$|[_-])|authorization",
    "(?:private|api|access|signing|encryption)[_-]?key|cookie[_-]key",
  ].join("|"),
  "i",
);

/** Printed instead of a secret. */
export const MASK = "*****";

/** Whether the value of a key must not be printed. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key) || key.split(/[_.-]|(?<=[a-z])(?=[A-Z])/).some((word) => isMisspelt(word.toLowerCase()));
}

/** Words that are probably misspelled secrets; each is long enough to resemble no other word. */
const OFTEN_MISSPELT = ["password", "passwd", "passphrase", "secret", "credential", "authorization"] as const;

/** Whether a word differs from a secret's in one letter: replaced, added, missing, or two swapped. */
function isMisspelt(word: string): boolean {
  return OFTEN_MISSPELT.some((right) => isOneOff(word, right));
}

function isOneOff(word: string, right: string): boolean {
  if (Math.abs(word.length - right.length) > 1) return false;
  let at = 0;
  while (at < word.length && word[at] === right[at]) at++;
  const [rest, wanted] = [word.slice(at), right.slice(at)];
  if (rest.slice(1) === wanted || rest === wanted.slice(1) || rest.slice(1) === wanted.slice(1)) return true;
  return rest[0] === wanted[1] && rest[1] === wanted[0] && rest.slice(2) === wanted.slice(2);
}
