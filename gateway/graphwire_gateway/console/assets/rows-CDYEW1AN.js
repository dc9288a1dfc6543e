import{Z as e}from"./index-remkKI2f.js";function p({type:f,sub:n,questions:r,...t}){return r?{...t,questions:e(r)}:t}export{p as r};
