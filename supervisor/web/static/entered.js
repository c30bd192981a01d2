// After the login: keep the page's key where only this port can read it, and go on to the page.
import { keepKey } from "./live.js";

keepKey(document.querySelector('meta[name="page-key"]').content);
location.replace("/");
