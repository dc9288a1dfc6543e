import{Z as e}from"./index-DbfM-1f0.js";function p({type:f,sub:n,questions:r,...t}){return r?{...t,questions:e(r)}:t}export{p as r};
