/** The least characters of a password (NIST SP 800-63B section 5.1.1.2 asks for 8 where guesses are throttled). */
export const LEAST_PASSWORD_LENGTH = 8;
/** More would only cost time. */
export const MOST_PASSWORD_LENGTH = 256;

/**
 * Passwords of eight and more letters that lead every published list of leaked ones. Their endings (`2024`, `!`, `123`)
 * and replaced letters (`p@ssw0rd`) are undone before comparing.
 */
const COMMON: ReadonlySet<string> = new Set(
  `abcdefgh abcd1234 access14 adminadmin administrator admin123 anything asdfasdf asdfghjk asdfghjkl babygirl baseball
  basketball batman bismillah bigdaddy butterfly carolina changeme charlie chocolate christian christmas cocacola
  computer consumer corvette cowboys creative danielle december default dolphins dragon einstein elephant elizabeth
  explorer facebook firebird flower football forever freedom gateway gateway1 gfhjkm goldfish google grateful guest
  hardcore hello hellohello helpdesk hercules holiday homeassistant house iloveyou iloveu internet jennifer jessica
  jonathan jordan justin killer letmein liverpool login lovely loveme maggie magic manager marlboro master maverick
  mercedes metallica michael michelle midnight monkey mosquitto mustang mypass mypassword nicholas nomqnomq november
  nothing october operator orange pakistan passw0rd passwd password passwordpassword patricia pass1234 pencil peanut
  pepper phoenix platinum playboy pokemon princess private professor purple qazwsx qazwsxedc qwertyui qwerty
  qwertyuiop qwertz qwertzui raspberry rockyou samantha samsung scorpion secret secretsecret security september server
  service shadow simpsons smartwater snowball soccer spiderman standard starwars steelers strawberry summer sunshine
  superman superuser support swordfish sysadmin temporary test testing testtest thunder tigger trustno1 trustnoone
  universe unknown user veronica victoria vincent webmaster welcome whatever william windows winner winter wireless
  yamaha zaq12wsx zxcvbnm`.split(/\s+/),
);
const LETTERS: Readonly<Record<string, string>> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
};
const RUNS = [
  "abcdefghijklmnopqrstuvwxyz",
  "01234567890",
  "qwertyuiop",
  "qwertzuiop",
  "asdfghjkl",
  "zxcvbnm",
];

/** Why a password must not be taken, in words for its owner; undefined: take it. */
export function passwordFault(password: string, user: string): string | undefined {
  const characters = [...password].length;
  if (characters < LEAST_PASSWORD_LENGTH)
    return `has ${characters} characters; use at least ${LEAST_PASSWORD_LENGTH}`;
  if (characters > MOST_PASSWORD_LENGTH) return `has more than ${MOST_PASSWORD_LENGTH} characters`;
  const plain = password.toLowerCase();
  if (new Set(plain).size < 4) return "repeats the same few characters";
  if (RUNS.some((run) => isRunOf(plain, run))) return "is a row of the keyboard or the alphabet";
  if (user.length >= 3 && plain.includes(user.toLowerCase())) return "contains the user's name";
  if (isCommon(plain)) return "is on every list of common passwords";
  return undefined;
}

function isRunOf(plain: string, run: string): boolean {
  const backwards = [...run].toReversed().join("");
  return run.includes(plain) || backwards.includes(plain);
}

function isCommon(plain: string): boolean {
  const bare = plain
    .replace(/[^a-z0-9@$]+/g, "")
    .replaceAll("@", "a")
    .replaceAll("$", "s");
  const ended = bare.replace(/\d+$/, "");
  const spelled = (text: string): string => text.replace(/\d/g, (digit) => LETTERS[digit] ?? digit);
  return [plain, bare, ended, spelled(bare), spelled(ended)].some((form) => COMMON.has(form));
}
