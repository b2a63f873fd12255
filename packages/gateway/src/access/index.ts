export {
  type AccessToken,
  type AccessUser,
  type Accounts,
  type AccountsOptions,
  createAccounts,
  type Login,
  type Scope,
} from "./accounts.ts";
export { filterCovers, filtersOverlap } from "./filters.ts";
export { hashPassword, isPasswordHash, verifyPassword } from "./password.ts";
export {
  type AccessRule,
  type AccessRules,
  createAccessRules,
  type Explanation,
} from "./rules.ts";
export { LEAST_PASSWORD_LENGTH, MOST_PASSWORD_LENGTH, passwordFault } from "./weak-password.ts";
